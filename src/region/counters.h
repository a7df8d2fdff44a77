/*
 * Counters by thread and context, so that no two threads write to one.
 *
 *    thread --> refs, one for 2048 contexts --> piece of counters
 *
 * A block may be freed by another thread than it was allocated by: of one thread's counters
 * frees may be above allocations, of the sums they never are when all is at rest.
 */
#ifndef MEMTRACE_COUNTERS_H
#define MEMTRACE_COUNTERS_H

#include "region/shared.h"

/* A thread's counters of a context, which that thread alone writes; NULL: there is no room.
 * KNOWN_NONE: of all that have no place, which many write (atom_add64_of_many()). */
struct shared_counters *counters_of(const struct shared *shared, uint32_t thread,
				    uint32_t context);

/*
 * Adds the counters of all threads to ret[0 .. count).  While threads count on, each sum is one
 * of a moment within the call; frees are added up before allocations, so that what was freed is
 * among what was allocated.
 */
void counters_sum(const struct shared *shared, struct shared_counters *ret, uint32_t count);
/* Adds those of one context (< SHARED_CONTEXTS) to *ret. */
void counters_sum_one(const struct shared *shared, uint32_t context,
		      struct shared_counters *ret);

#endif
