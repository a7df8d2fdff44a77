/*
 * Where things are.
 *
 * The problem: hash tables grow, so that places of all sizes come free again, and a
 * session of weeks must not run out of its reserved range.  There is no free list
 * to go wrong: what is free is whatever no table and no segment of an array holds, and a new
 * place is the lowest gap that is large enough.
 *
 *    header | index |  . . gap . . | blocks (old) | nodes | blocks (new) | . . | nodes ...
 *
 * A table of n bytes has left gaps of n/2, n/4, ... behind when it moved, less
 * than n in total, so the range in use stays below about twice what is live plus
 * one copy.
 */
#include "region/tables.h"

#include "region/arrays.h"

static bool overlaps(uint64_t begin, uint64_t bytes, uint64_t offset, uint64_t taken)
{
	return taken && begin < offset + taken && offset < begin + bytes;
}

/* The end of what overlaps [begin, begin + bytes), or 0. */
static uint64_t overlap_end(const struct region *region, uint64_t begin, uint64_t bytes)
{
	for (int i = 0; i < REGION_TABLES; i++) {
		const struct region_table *t = &region->tables[i];

		if (overlaps(begin, bytes, t->offset, t->bytes))
			return t->offset + t->bytes;
	}
	for (int i = 0; i < REGION_ARRAYS; i++) {
		const struct region_array *a = &region->arrays[i];

		for (unsigned k = 0; k < REGION_SEGMENTS && a->segment[k]; k++) {
			uint64_t taken = arrays_segment_bytes(a, k);

			if (overlaps(begin, bytes, a->segment[k], taken))
				return a->segment[k] + taken;
		}
	}
	return 0;
}

/* Each round steps over one of them. */
uint64_t tables_place(const struct region *region, const struct region_space *space,
		      uint64_t bytes)
{
	uint64_t begin = REGION_GRANULE, end;

	while ((end = overlap_end(region, begin, bytes)))
		begin = end;
	return begin <= space->limit && bytes <= space->limit - begin ? begin : 0;
}

bool tables_prepare(struct region *region, struct region_space *space, enum region_table_id id,
		    uint64_t capacity, struct region_table *ret)
{
	struct region_table *old = &region->tables[id];
	uint64_t bytes, offset;

	if (old->retry_in && --old->retry_in)
		return false;
	if (capacity > UINT32_MAX)
		return false;
	bytes = capacity * old->item_bytes + REGION_GRANULE - 1;
	bytes -= bytes % REGION_GRANULE;
	offset = tables_place(region, space, bytes);
	if (!offset || space->commit(space, offset, bytes) < 0) {
		old->retry_in = REGION_RETRY_AFTER;
		return false;
	}
	*ret = (struct region_table){
		.offset = offset,
		.bytes = bytes,
		.capacity = (uint32_t)capacity,
		.item_bytes = old->item_bytes,
	};
	return true;
}

void tables_replace(struct region *region, struct region_space *space, enum region_table_id id,
		    const struct region_table *fresh)
{
	struct region_table old = region->tables[id];

	region->tables[id] = *fresh;
	if (old.bytes)
		space->release(space, old.offset, old.bytes);
}

void tables_give_back(struct region *region, struct region_space *space,
		      enum region_table_id id)
{
	struct region_table *t = &region->tables[id];
	uint64_t piece = t->bytes < REGION_PIECE ? t->bytes : REGION_PIECE;

	t->bytes -= piece;
	if (piece)
		space->release(space, t->offset + t->bytes, piece);
}
