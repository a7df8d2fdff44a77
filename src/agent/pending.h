/*
 * A realloc that was entered and has not returned: its block is out of the table, and kept with the
 * thread (struct shared_pending).
 *
 * Nobody else comes to it meanwhile: a handler's realloc is not known, and memtrace waits
 * while it is SHARED_BUSY.
 */
#ifndef MEMTRACE_PENDING_H
#define MEMTRACE_PENDING_H

#include "region/atom.h"
#include "region/shared.h"

/* False: it is not the call of that slot. */
static inline bool pending_begin(struct shared_pending *pending, uint64_t slot)
{
	return atom_replace64(&pending->slot, slot, slot | SHARED_BUSY);
}

static inline void pending_end(struct shared_pending *pending, uint64_t slot)
{
	atom_store64(&pending->slot, slot);
}

/* The call that is pending has not happened.  False: it is not that one, or there is no place for its block. */
bool pending_put_back(const struct shared *shared, struct shared_pending *pending, uint64_t slot);

/* For the call of that slot, SHARED_BUSY; what a longjmp has left there is put back, and what was left half
 * done is lost.  False: the call is within the one that is pending. */
bool pending_claim(const struct shared *shared, struct shared_pending *pending, uint64_t slot);

#endif
