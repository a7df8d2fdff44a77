/*
 * The calls that the agent does not know while no memtrace is there: nobody answers a trap, so they
 * are counted here, as well as it can be, and the rest is said (struct shared_alone).
 *
 *   malloc, realloc ...   a stack as far as it is known, ended by WALK_ALONE; of a thread that has
 *                         no place, or is elsewhere than on its own stack: the function alone
 *   free                  of a block that is noted, by any thread: as ever.  Else: one of `frees`
 *   what has no room      `unkept`: it is in no count
 *   the loader            modules go: no pc says anything any more, until a memtrace comes
 *
 * Who has no place counts in a row that many write, by additions that are locked.
 */
#ifndef MEMTRACE_ALONE_H
#define MEMTRACE_ALONE_H

#include "agent/agent.h"
#include "region/atom.h"

/* Seldom run, and small rather than fast. */
#define ALONE __attribute__((cold, noinline))

/* It has left, or was killed. */
static inline bool alone_is(const struct shared *shared)
{
	return atom_load32(&shared_told(shared)->alone) ||
	       (atom_load32(&shared_told(shared)->owner) & SHARED_OWNER_DIED);
}

/* Has what memtrace told of pcs become untrue?  (Only while it is not there.) */
static inline bool alone_moved(const struct shared *shared)
{
	return atom_load32(&shared_taken(shared)->moved);
}

/* An allocation is counted whose stack is not known to its end. */
ALONE void alone_unresolved(const struct shared *shared, uint64_t size);

/* What an inner call returns is nobody's block. */
ALONE bool alone_inner(const struct shared *shared, uint64_t addr);

/* Behind all else: the call was not known. */
ALONE void alone_call(const struct shared *shared, const struct agent_call *call);

#endif
