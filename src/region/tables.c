/*
 * Where the tables are.
 *
 * The problem: tables grow, so that places of all sizes come free again, and a
 * session of weeks must not run out of its reserved range.  There is no free list
 * to go wrong: what is free is whatever none of the tables holds, and a new
 * place is the lowest gap that is large enough.
 *
 *    header | index |  . . gap . . | blocks (old) | blocks (new) | . . | nodes . . | contexts .
 * .
 *
 * A table of n bytes has left gaps of n/2, n/4, ... behind when it moved, less
 * than n in total, so the range in use stays below about twice what is live plus
 * one copy.
 *
 * The arrays (nodes, contexts) of a large range begin far away from everything, and
 * grow where they are: copying a million of them would make a thread of the target wait.
 */
#include "region/tables.h"

/* The end of a table that overlaps [begin, begin + bytes), or 0. */
static uint64_t overlap_end(const struct region *region, uint64_t begin, uint64_t bytes)
{
	for (int i = 0; i < REGION_TABLES; i++) {
		const struct region_table *t = &region->tables[i];

		if (t->bytes && begin < t->offset + t->bytes && t->offset < begin + bytes)
			return t->offset + t->bytes;
	}
	return 0;
}

/* The lowest place from `begin` on that is free for `bytes`: each round steps over one
 * table. */
static uint64_t place_from(const struct region *region, uint64_t begin, uint64_t bytes)
{
	uint64_t end;

	while ((end = overlap_end(region, begin, bytes)))
		begin = end;
	return begin;
}

static bool fits(const struct region_space *space, uint64_t offset, uint64_t bytes)
{
	return offset <= space->limit && bytes <= space->limit - offset;
}

static uint64_t place(const struct region *region, const struct region_space *space,
		      enum region_table_id id, uint64_t bytes)
{
	uint64_t quarter = space->limit / 4, offset = 0;

	quarter -= quarter % REGION_GRANULE;
	if (space->limit >= REGION_ROOMY && id == REGION_NODES)
		offset = place_from(region, 2 * quarter, bytes);
	if (space->limit >= REGION_ROOMY && id == REGION_CONTEXTS)
		offset = place_from(region, 3 * quarter, bytes);
	if (!offset || !fits(space, offset, bytes))
		offset = place_from(region, REGION_GRANULE, bytes);
	return offset;
}

bool tables_prepare(struct region *region, struct region_space *space, enum region_table_id id,
		    uint64_t capacity, struct region_table *ret)
{
	struct region_table *old = &region->tables[id];
	uint64_t bytes, offset;

	if (old->patience && --old->patience)
		return false;
	if (capacity > UINT32_MAX)
		return false;
	bytes = capacity * old->item_bytes + REGION_GRANULE - 1;
	bytes -= bytes % REGION_GRANULE;
	offset = place(region, space, id, bytes);
	if (!fits(space, offset, bytes) || space->commit(space, offset, bytes) < 0) {
		old->patience = REGION_PATIENCE;
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

static void copy_words(uint64_t *to, const uint64_t *from, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] = from[i];
}

/* More of what lies behind the table. */
static bool extend(struct region *region, struct region_space *space, enum region_table_id id)
{
	struct region_table *t = &region->tables[id];
	uint64_t end = t->offset + t->bytes, step = t->bytes / 8 + REGION_GRANULE - 1;

	step -= step % REGION_GRANULE;
	if ((t->bytes + step) / t->item_bytes > UINT32_MAX || !fits(space, end, step) ||
	    overlap_end(region, end, step) || space->commit(space, end, step) < 0)
		return false;
	t->bytes += step;
	t->capacity = (uint32_t)(t->bytes / t->item_bytes);
	return true;
}

bool tables_append(struct region *region, struct region_space *space, enum region_table_id id)
{
	struct region_table *t = &region->tables[id];
	struct region_table fresh;

	if (t->count < t->capacity || (!t->patience && extend(region, space, id)))
		return true;
	if (!tables_prepare(region, space, id, (uint64_t)t->capacity * 2, &fresh))
		return false;
	copy_words((uint64_t *)((uint8_t *)region + fresh.offset), tables_at(region, id),
		   (uint64_t)t->count * t->item_bytes);
	fresh.count = t->count;
	tables_replace(region, space, id, &fresh);
	return true;
}
