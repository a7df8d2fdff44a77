/* See pending.h. */
#include "agent/pending.h"

#include "agent/alone.h"

#include "region/live.h"

ALONE bool pending_put_back(const struct shared *shared, struct shared_pending *pending,
			     uint64_t slot)
{
	struct live_block block = {.addr = pending->addr,
				   .size = pending->size,
				   .context = pending->context,
				   .age = pending->age,
				   .level = pending->level};
	uint64_t *place;
	bool done = true;

	if (!pending_begin(pending, slot))
		return false;
	if (pending->context) {
		place = live_place(shared, pending->addr, pending->size);
		done = place && pending->context < SHARED_CONTEXTS &&
		       live_note_aged(shared, place, &block);
	}
	pending_end(pending, done ? 0 : slot);
	return done;
}

bool pending_claim(const struct shared *shared, struct shared_pending *pending, uint64_t slot)
{
	uint64_t left = pending->slot;

	if (left > slot + SHARED_BUSY)
		return false; /* this call is within it */
	if (left & SHARED_BUSY)
		return atom_replace64(&pending->slot, left, slot | SHARED_BUSY);
	if (left && !pending_put_back(shared, pending, left))
		return false;
	return atom_claim64(&pending->slot, slot | SHARED_BUSY);
}
