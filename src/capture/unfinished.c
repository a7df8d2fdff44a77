/*
 * See unfinished.h.  Each is taken by a compare-and-swap: whoever comes first, the thread or we, has
 * it, and the other one finds that it is not there.
 */
#include "capture/unfinished.h"

#include "region/atom.h"
#include "region/live.h"

void unfinished_pending(struct tally *tally, struct book *book, struct book_thread *thread,
			struct shared_thread *own, uint32_t now)
{
	const struct shared_pending pending = own->pending;
	struct region_block block;
	bool taken;

	if (!pending.slot || pending.slot & SHARED_BUSY ||
	    !atom_replace64(&own->pending.slot, pending.slot, 0))
		return;
	taken = tally_taken(tally, &pending, now, &block);
	book_realloc_entered(book, thread, pending.slot, pending.addr, taken ? &block : NULL);
}

void unfinished_inner(struct tally *tally, struct shared_thread *own)
{
	uint64_t inner = own->inner;
	struct live_block live;

	if (!inner || !atom_replace64(&own->inner, inner, 0) ||
	    live_find(tally->shared, inner, &live)) /* somebody's by now */
		return;
	region_inner_add(tally->region, tally->space, inner);
	tally_settle(tally, inner);
}
