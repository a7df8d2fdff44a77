/*
 * Live blocks: address -> {size, context, time}, an open-addressing hash table.
 *
 * A block's home is given by the top bits of its address' hash; it stands there or
 * in the next free slot behind (linear probing, wrapping).  Invariant: there is no
 * free slot between a block's home and the block.  Removal keeps it by moving later
 * blocks back into the hole, so there are no tombstones, and a table that has lived
 * for a year probes like a new one.
 *
 *    home(c)  home(a,b)
 *       v        v
 *    | c | . | a | b | . |        remove a  ->   | c | . | b | . | . |
 *
 * Three quarters full it doubles: 32 to 64 bytes per live block.  The home being
 * the hash's *top* bits, a block at slot i moves to 2i or 2i + 1 or close behind:
 * doubling reads and writes memory in order.  Where it can't grow it fills up to
 * 7/8, so that there is always a free slot near to end a probe.
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

struct region_block *blocks_find(const struct region *region, uint64_t addr)
{
	struct region_block *slot =
		probe(&region->tables[REGION_BLOCKS], tables_at(region, REGION_BLOCKS), addr);

	return slot->addr && addr ? slot : NULL;
}

static bool grow(struct region *region, struct region_space *space)
{
	struct region_table *table = &region->tables[REGION_BLOCKS];
	struct region_block *old = tables_at(region, REGION_BLOCKS);
	struct region_block *blocks;
	struct region_table fresh;

	if (!tables_prepare(region, space, REGION_BLOCKS, (uint64_t)table->capacity * 2,
			    &fresh))
		return false;
	blocks = (struct region_block *)((uint8_t *)region + fresh.offset);
	for (uint32_t i = 0; i < table->capacity; i++)
		if (old[i].addr)
			*probe(&fresh, blocks, old[i].addr) = old[i];
	fresh.count = table->count;
	tables_replace(region, space, REGION_BLOCKS, &fresh);
	return true;
}

struct region_block *blocks_slot(struct region *region, struct region_space *space,
				 uint64_t addr)
{
	struct region_table *table = &region->tables[REGION_BLOCKS];
	struct region_block *slot = probe(table, tables_at(region, REGION_BLOCKS), addr);

	if (slot->addr || table->count < table->capacity / 4 * 3)
		return slot;
	if (grow(region, space))
		return probe(table, tables_at(region, REGION_BLOCKS), addr);
	return table->count < table->capacity / 8 * 7 ? slot : NULL;
}

void blocks_remove(struct region *region, struct region_block *block)
{
	struct region_table *table = &region->tables[REGION_BLOCKS];
	struct region_block *blocks = tables_at(region, REGION_BLOCKS);
	uint32_t mask = table->capacity - 1;
	uint32_t hole = (uint32_t)(block - blocks);

	for (uint32_t i = (hole + 1) & mask; blocks[i].addr; i = (i + 1) & mask) {
		uint32_t from_home = (i - home(table, blocks[i].addr)) & mask;
		uint32_t from_hole = (i - hole) & mask;

		if (from_home >= from_hole) {
			blocks[hole] = blocks[i];
			hole = i;
		}
	}
	blocks[hole].addr = 0;
	table->count--;
}

void blocks_clear(struct region *region, struct region_space *space)
{
	struct region_table *table = &region->tables[REGION_BLOCKS];
	struct region_block *blocks = tables_at(region, REGION_BLOCKS);
	uint64_t keep = (uint64_t)BLOCKS_FIRST_CAPACITY * sizeof(*blocks) + REGION_GRANULE - 1;

	keep -= keep % REGION_GRANULE;
	if (table->bytes > keep)
		space->release(space, table->offset + keep, table->bytes - keep);
	table->bytes = keep;
	table->capacity = BLOCKS_FIRST_CAPACITY;
	table->count = 0;
	table->patience = 0;
	for (uint32_t i = 0; i < BLOCKS_FIRST_CAPACITY; i++)
		blocks[i] = (struct region_block){0};
}
