/*
 * Free space for stubs, in memory that the process has: behind a module's text (padding.h), or
 * in a page of ours (page.h), beside what is in use of it.
 */
#ifndef MEMTRACE_FREE_SPACE_H
#define MEMTRACE_FREE_SPACE_H

#include "hook/hooks.h"
#include "hook/padding.h"

/*
 * The largest free part of a module's padding: beside our own areas, written or not yet, and
 * beside what predecessors left.  False: there is no padding, or no telling what is free.
 */
bool free_space_behind(const struct hooks *hooks, const struct module *host, struct space *ret);
/* The same of other memory that is ours. */
bool free_space_in(const struct hooks *hooks, struct space *space);

#endif
