/*
 * Live blocks: address -> {size, context, time}, an open-addressing hash table.
 *
 * A block's home is given by the top bits of its address' hash; it is there or
 * in the next free slot behind (linear probing, wrapping).  Invariant: there is no
 * free slot between a block's home and the block.  Removal keeps it by moving later
 * blocks back into the hole, so there are no tombstones, and a table that has lived
 * for a year probes like a new one.
 *
 *    home(c)  home(a,b)
 *       v        v
 *    | c | . | a | b | . |        remove a  ->   | c | . | b | . | . |
 *
 * Three quarters full it doubles: 32 to 64 bytes per live block.  Where it can't grow
 * it fills up to 7/8, so that there is always a free slot near to end a probe.
 *
 * A million blocks are not moved at once, as a thread of the target would wait for
 * it: the table before stays beside the new one, and every new block moves a slice
 * of it.  It is emptied in order from a slot that was free (`start`), and each slice
 * ends behind a free one, so that what is left keeps the invariant by itself:
 *
 *    before  | left: as ever ........ |start| moved, not looked at any more | left ... |
 *                                                                  `done` slots ^
 *
 * The home being the hash's *top* bits, a block at slot i moves to 2i or 2i + 1 or
 * close behind: both are read and written in order.
 */
#include "region/blocks.h"

static uint32_t home(const struct region_table *table, uint64_t addr)
{
	return (uint32_t)(tables_hash(addr) >> (64 - __builtin_ctz(table->capacity)));
}

/* The slot of addr, or the free slot where its probe ends. */
static struct region_block *probe(const struct region_table *table, struct region_block *blocks,
				  uint64_t addr)
{
	uint32_t mask = table->capacity - 1;
	uint32_t i = home(table, addr);

	while (blocks[i].addr && blocks[i].addr != addr)
		i = (i + 1) & mask;
	return &blocks[i];
}

/* ---- the table before, while it is emptied --------------------------------- */

static uint32_t distance(uint32_t mask, uint32_t from, uint32_t to)
{
	return (to - from) & mask;
}

static struct region_block *before_find(const struct region *region, uint64_t addr)
{
	const struct region_table *table = &region->tables[REGION_BLOCKS_BEFORE];
	struct region_block *blocks = tables_at(region, REGION_BLOCKS_BEFORE);
	uint32_t mask = table->capacity - 1;
	struct region_block *slot;

	if (!table->count ||
	    distance(mask, region->emptying.start, home(table, addr)) < region->emptying.done)
		return NULL;
	slot = probe(table, blocks, addr);
	return slot->addr ? slot : NULL;
}

/* Moves a slice; when nothing is left, gives a piece of its memory back. */
static void before_empty(struct region *region, struct region_space *space)
{
	struct region_table *before = &region->tables[REGION_BLOCKS_BEFORE];
	struct region_table *table = &region->tables[REGION_BLOCKS];
	struct region_block *from = tables_at(region, REGION_BLOCKS_BEFORE);
	struct region_block *to = tables_at(region, REGION_BLOCKS);
	uint32_t mask = before->capacity - 1;

	if (!before->count) {
		tables_give_back(region, space, REGION_BLOCKS_BEFORE);
		return;
	}
	for (unsigned slots = 1; before->count; slots++) {
		uint32_t i = (region->emptying.start + region->emptying.done++) & mask;

		if (from[i].addr) {
			*probe(table, to, from[i].addr) = from[i];
			before->count--;
			table->count++;
		} else if (slots >= BLOCKS_SLICE) {
			return;
		}
	}
}

static bool grow(struct region *region, struct region_space *space)
{
	struct region_table *table = &region->tables[REGION_BLOCKS];
	const struct region_block *blocks = tables_at(region, REGION_BLOCKS);
	struct region_table fresh;
	uint32_t start = 0;

	if (region->tables[REGION_BLOCKS_BEFORE].bytes)
		return false; /* not emptied yet: it takes a small part of the room there is */
	if (!tables_prepare(region, space, REGION_BLOCKS, (uint64_t)table->capacity * 2,
			    &fresh))
		return false;
	while (blocks[start].addr)
		start++;
	region->emptying.start = start;
	region->emptying.done = 0;
	region->tables[REGION_BLOCKS_BEFORE] = *table;
	*table = fresh;
	return true;
}

/* ---- both ------------------------------------------------------------------- */

struct region_block *blocks_find(const struct region *region, uint64_t addr)
{
	struct region_block *slot =
		probe(&region->tables[REGION_BLOCKS], tables_at(region, REGION_BLOCKS), addr);

	if (!addr)
		return NULL;
	return slot->addr ? slot : before_find(region, addr);
}

struct region_block *blocks_slot(struct region *region, struct region_space *space,
				 uint64_t addr)
{
	struct region_table *table = &region->tables[REGION_BLOCKS];
	struct region_block *found, *slot;
	uint32_t count;

	if (region->tables[REGION_BLOCKS_BEFORE].bytes)
		before_empty(region, space);
	found = blocks_find(region, addr);
	if (found)
		return found;
	count = table->count + region->tables[REGION_BLOCKS_BEFORE].count;
	slot = probe(table, tables_at(region, REGION_BLOCKS), addr);
	if (count < table->capacity / 4 * 3)
		return slot;
	if (grow(region, space))
		return probe(table, tables_at(region, REGION_BLOCKS), addr);
	return count < table->capacity / 8 * 7 ? slot : NULL;
}

static void remove_from(const struct region_table *table, struct region_block *blocks,
			uint32_t hole)
{
	uint32_t mask = table->capacity - 1;

	for (uint32_t i = (hole + 1) & mask; blocks[i].addr; i = (i + 1) & mask) {
		uint32_t home_at = home(table, blocks[i].addr);

		if (distance(mask, home_at, i) >= distance(mask, hole, i)) {
			blocks[hole] = blocks[i];
			hole = i;
		}
	}
	blocks[hole].addr = 0;
}

void blocks_remove(struct region *region, struct region_block *block)
{
	struct region_table *table = &region->tables[REGION_BLOCKS];
	struct region_table *before = &region->tables[REGION_BLOCKS_BEFORE];
	struct region_block *blocks = tables_at(region, REGION_BLOCKS);
	struct region_block *old = tables_at(region, REGION_BLOCKS_BEFORE);

	if (before->count && block >= old && block < old + before->capacity) {
		remove_from(before, old, (uint32_t)(block - old));
		before->count--;
		return;
	}
	remove_from(table, blocks, (uint32_t)(block - blocks));
	table->count--;
}

void blocks_for_each(const struct region *region,
		     void (*visit)(void *arg, const struct region_block *block), void *arg)
{
	const struct region_table *table = &region->tables[REGION_BLOCKS];
	const struct region_table *before = &region->tables[REGION_BLOCKS_BEFORE];
	const struct region_block *blocks = tables_at(region, REGION_BLOCKS);
	const struct region_block *old = tables_at(region, REGION_BLOCKS_BEFORE);

	for (uint32_t i = 0; i < table->capacity; i++)
		if (blocks[i].addr)
			visit(arg, &blocks[i]);
	for (uint32_t i = region->emptying.done; before->count && i < before->capacity; i++) {
		uint32_t at = (region->emptying.start + i) & (before->capacity - 1);

		if (old[at].addr)
			visit(arg, &old[at]);
	}
}

void blocks_clear(struct region *region, struct region_space *space)
{
	struct region_table *table = &region->tables[REGION_BLOCKS];
	struct region_table *before = &region->tables[REGION_BLOCKS_BEFORE];
	struct region_block *blocks = tables_at(region, REGION_BLOCKS);
	uint64_t keep = (uint64_t)BLOCKS_FIRST_CAPACITY * sizeof(*blocks) + REGION_GRANULE - 1;

	if (before->bytes)
		space->release(space, before->offset, before->bytes);
	before->bytes = before->count = 0;
	keep -= keep % REGION_GRANULE;
	if (table->bytes > keep)
		space->release(space, table->offset + keep, table->bytes - keep);
	table->bytes = keep;
	table->capacity = BLOCKS_FIRST_CAPACITY;
	table->count = 0;
	table->retry_in = 0;
	for (uint32_t i = 0; i < BLOCKS_FIRST_CAPACITY; i++)
		blocks[i] = (struct region_block){0};
}
