/* Programs that run another one. */
#ifndef MEMTRACE_WRAPPER_H
#define MEMTRACE_WRAPPER_H

#include "cli/options.h"

/* Is a program of that name but the wrapper of another one? */
bool wrapper_is(const char *name);
/* The whole line was read: if PROGRAM is one, options->follow_behind. */
void wrapper_look_behind(struct options *options);

#endif
