/* What tally.c and tally_succession.c share. */
#ifndef MEMTRACE_TALLY_PARTS_H
#define MEMTRACE_TALLY_PARTS_H

#include "capture/tally.h"

/* Room for so many contexts.  False: memory is short. */
bool tally_grow(struct tally *tally, uint32_t count);
/* The region's context of the same call stack; 0: none. */
uint32_t tally_intern(struct tally *tally, uint32_t context);
/* The agent's context of the region's call stack, for which there is room here; 0: none. */
uint32_t tally_intern_there(struct tally *tally, uint32_t id);
/* A block of the region's: the agent has it from now on.  False: it stays. */
bool tally_yield(struct tally *tally, const struct region_block *from);

#endif
