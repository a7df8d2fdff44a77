/*
 * Arrays in segments that double, so that an item never moves: copying a million of them would
 * make a thread of the target wait, and a reader may be looking.
 *
 * A segment's place is chosen once, and its memory committed an eighth of the array at a time.
 */
#include "region/arrays.h"

#include "region/tables.h"

/* What is committed next: [*offset, + the result).  0: the range is full. */
static uint64_t next_piece(const struct region *region, const struct region_space *space,
			   const struct region_array *a, unsigned segment, uint64_t *offset)
{
	uint64_t all = arrays_segment_bytes(a, segment);
	uint64_t step = a->bytes / 8 + REGION_GRANULE;

	*offset = a->segment[segment];
	if (!*offset)
		*offset = tables_place(region, space, all);
	if (!*offset)
		return 0;
	step -= step % REGION_GRANULE;
	if (step > all - a->last_bytes)
		step = all - a->last_bytes;
	return step;
}

bool arrays_room(struct region *region, struct region_space *space, enum region_array_id id)
{
	struct region_array *a = &region->arrays[id];
	unsigned segment = arrays_segment(a->first_bits, a->count);
	uint64_t offset, step, begin, items;

	if (a->count < a->capacity)
		return true;
	if ((a->retry_in && --a->retry_in) || segment >= REGION_SEGMENTS ||
	    a->count == UINT32_MAX)
		return false;
	if (!a->segment[segment])
		a->last_bytes = 0;
	step = next_piece(region, space, a, segment, &offset);
	if (!step || space->commit(space, offset + a->last_bytes, step) < 0) {
		a->retry_in = REGION_RETRY_AFTER;
		return false;
	}
	a->segment[segment] = offset;
	a->last_bytes += step;
	a->bytes += step;
	begin = arrays_begin(a->first_bits, segment);
	items = a->last_bytes / a->item_bytes;
	if (items > arrays_begin(a->first_bits, segment + 1) - begin)
		items = arrays_begin(a->first_bits, segment + 1) - begin;
	a->capacity = (uint32_t)(begin + items > UINT32_MAX ? UINT32_MAX : begin + items);
	return true;
}
