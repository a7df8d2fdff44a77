/*
 * Places in the region, and the hash tables, which move when they grow (layout.h).  For
 * region/'s own files only.
 */
#ifndef MEMTRACE_TABLES_H
#define MEMTRACE_TABLES_H

#include "region/layout.h"

/* So much is given back at once: more would take more than some hundred microseconds. */
#define REGION_PIECE (16 * REGION_GRANULE)

static inline void *tables_at(const struct region *region, enum region_table_id id)
{
	return (uint8_t *)region + region->tables[id].offset;
}

/* The lowest place that is free for `bytes`; 0: none. */
uint64_t tables_place(const struct region *region, const struct region_space *space,
		      uint64_t bytes);

/*
 * Commits a place for `capacity` items of table `id`, zeroed, beside the present
 * one, and describes it in *ret (count 0).  False when there is no memory, or was
 * none a short while ago.
 */
bool tables_prepare(struct region *region, struct region_space *space, enum region_table_id id,
		    uint64_t capacity, struct region_table *ret);

/* Gives a piece of a table's memory back, the last one first; it holds nothing any more. */
void tables_give_back(struct region *region, struct region_space *space,
		      enum region_table_id id);

/* The new place becomes the table; the old one is given back. */
void tables_replace(struct region *region, struct region_space *space, enum region_table_id id,
		    const struct region_table *fresh);

/* Spreads every bit of `key` over all bits; the high ones are the best. */
static inline uint64_t tables_hash(uint64_t key)
{
	key ^= key >> 32;
	key *= 0xd6e8feb86659fd93ull;
	key ^= key >> 32;
	key *= 0x9e3779b97f4a7c15ull;
	return key;
}

#endif
