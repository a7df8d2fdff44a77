/* Where the loader's list of modules is watched when _dl_debug_state() itself can't be patched. */
#ifndef MEMTRACE_LOADER_CALLER_H
#define MEMTRACE_LOADER_CALLER_H

#include "hook/entries.h"

/*
 * Is the function, of the loader's module, too short for a patch, and all that calls it one
 * other function?  Then *symbol becomes that one: what it does is done when it returns.
 */
bool loader_caller_find(const struct entries *entries, struct image_symbol *symbol);

#endif
