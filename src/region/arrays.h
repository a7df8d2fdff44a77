/* The arrays of the region, which grow where they are.  For region/'s own files only. */
#ifndef MEMTRACE_ARRAYS_H
#define MEMTRACE_ARRAYS_H

#include "region/layout.h"

/* The segment that item i is in, and the first item of a segment. */
static inline unsigned arrays_segment(uint32_t first_bits, uint32_t i)
{
	uint32_t high = i >> first_bits;

	return high ? 32 - (unsigned)__builtin_clz(high) : 0;
}

static inline uint64_t arrays_begin(uint32_t first_bits, unsigned segment)
{
	return segment ? 1ull << (first_bits + segment - 1) : 0;
}

/* Item i, which is counted, or for which there is room. */
static inline void *arrays_at(const struct region *region, enum region_array_id id, uint32_t i)
{
	const struct region_array *a = &region->arrays[id];
	unsigned segment = arrays_segment(a->first_bits, i);

	return (uint8_t *)region + a->segment[segment] +
	       (i - arrays_begin(a->first_bits, segment)) * a->item_bytes;
}

/* Bytes that a segment takes of the range when it is full: a multiple of REGION_GRANULE. */
static inline uint64_t arrays_segment_bytes(const struct region_array *array, unsigned segment)
{
	uint64_t items = arrays_begin(array->first_bits, segment + 1) -
			 arrays_begin(array->first_bits, segment);
	uint64_t bytes = items * array->item_bytes + REGION_GRANULE - 1;

	return bytes - bytes % REGION_GRANULE;
}

/* Room for one item more behind the last one, zeroed: arrays_at(count).  False: no memory. */
bool arrays_room(struct region *region, struct region_space *space, enum region_array_id id);

/* The item behind the last one is filled: readers may see it. */
static inline void arrays_publish(struct region *region, enum region_array_id id)
{
	struct region_array *a = &region->arrays[id];

	__atomic_store_n(&a->count, a->count + 1, __ATOMIC_RELEASE);
}

#endif
