/* Which Linux runs. */
#ifndef MEMTRACE_KERNEL_H
#define MEMTRACE_KERNEL_H

#include "base/types.h"

/* This one or a later one?  Also where it does not say. */
bool kernel_is_since(unsigned major, unsigned minor);

#endif
