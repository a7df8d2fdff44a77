/* The table of live blocks.  For region/'s own files only. */
#ifndef MEMTRACE_BLOCKS_H
#define MEMTRACE_BLOCKS_H

#include "region/tables.h"

#define BLOCKS_FIRST_CAPACITY 2048u
/* Slots of the table before that one new block moves: some microseconds. */
#define BLOCKS_SLICE 64u

/* The block at addr, or NULL. */
struct region_block *blocks_find(const struct region *region, uint64_t addr);

/*
 * The place for a block at addr: the block itself if it is live, else a free slot
 * (->addr is 0), made by growing the table where needed.  NULL: no room.  The
 * caller fills a free slot and adds one to the table's count.
 */
struct region_block *blocks_slot(struct region *region, struct region_space *space,
				 uint64_t addr);

/* Calls visit for every block. */
void blocks_for_each(const struct region *region,
		     void (*visit)(void *arg, const struct region_block *block), void *arg);

/* Removes what blocks_find() found. */
void blocks_remove(struct region *region, struct region_block *block);

/* Empties the table and shrinks it to its first size. */
void blocks_clear(struct region *region, struct region_space *space);

#endif
