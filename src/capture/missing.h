/*
 * Blocks that the agent's sums say are in use, and that nobody has: who had them in its hands was killed.
 *
 *   sums (region/counters.h)  -  live blocks  -  pending reallocs  =  missing
 *
 * That was a memtrace: a block of a realloc that it counts itself, or one that the agent's table has no place
 * for; or it was just about to note one.
 */
#ifndef MEMTRACE_MISSING_H
#define MEMTRACE_MISSING_H

#include <stdint.h>

#include "region/shared.h"

/* They are counted as freed.  All threads are stopped, and nobody is in the agent.  Returns how many there were, or -ENOMEM. */
int64_t missing_settle(const struct shared *shared);

#endif
