/* Interned call stacks.  For region/'s own files only. */
#ifndef MEMTRACE_STACKS_H
#define MEMTRACE_STACKS_H

#include "region/tables.h"

#define STACKS_FIRST_INDEX 16384u
/* Nodes that one new node takes along into a new index: some microseconds. */
#define STACKS_SLICE 64u
#define STACKS_NONE  UINT32_MAX

/* The leaf node of a stack (frames leaf first), interned; STACKS_NONE: no room. */
uint32_t stacks_intern(struct region *region, struct region_space *space, const frame_t *frames,
		       size_t count, enum walk_end end);

#endif
