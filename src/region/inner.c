/*
 * A set of addresses: the blocks that inner calls of allocators have returned.
 *
 * Open addressing with linear probing; an address is removed by moving later ones of its
 * run back into the hole, so there are no tombstones (Knuth, The Art of Computer Programming
 * 3, 6.4, algorithm R).  A program whose allocators do not nest never makes the table.  Half
 * full it doubles, at once: such blocks are few.  Where it can't grow it fills up to 7/8,
 * so that there is always a free slot to end a probe.
 */
#include "region/inner.h"

static uint32_t home(const struct region_table *table, uint64_t addr)
{
	return (uint32_t)(tables_hash(addr) >> (64 - __builtin_ctz(table->capacity)));
}

/* Where it is, or where it would be. */
static uint32_t slot_of(const struct region_table *table, const uint64_t *slots, uint64_t addr)
{
	uint32_t i = home(table, addr);

	while (slots[i] && slots[i] != addr)
		i = (i + 1) & (table->capacity - 1);
	return i;
}

static void enter(const struct region_table *table, uint64_t *slots, uint64_t addr)
{
	slots[slot_of(table, slots, addr)] = addr;
}

static bool grow(struct region *region, struct region_space *space)
{
	struct region_table *table = &region->tables[REGION_INNER];
	const uint64_t *old = tables_at(region, REGION_INNER);
	struct region_table fresh;

	if (!tables_prepare(region, space, REGION_INNER,
			    table->capacity ? (uint64_t)table->capacity * 2
					    : INNER_FIRST_CAPACITY,
			    &fresh))
		return false;
	fresh.count = table->count;
	for (uint32_t i = 0; i < table->capacity; i++)
		if (old[i])
			enter(&fresh, (uint64_t *)((uint8_t *)region + fresh.offset), old[i]);
	tables_replace(region, space, REGION_INNER, &fresh);
	return true;
}

bool inner_add(struct region *region, struct region_space *space, uint64_t addr)
{
	struct region_table *table = &region->tables[REGION_INNER];
	uint64_t *slots;
	uint32_t i;

	if (table->count >= table->capacity / 2 && !grow(region, space) &&
	    table->count >= table->capacity / 8 * 7)
		return false;
	slots = tables_at(region, REGION_INNER);
	i = slot_of(table, slots, addr);
	table->count += !slots[i];
	slots[i] = addr;
	return true;
}

bool inner_has(const struct region *region, uint64_t addr)
{
	const struct region_table *table = &region->tables[REGION_INNER];
	const uint64_t *slots = tables_at(region, REGION_INNER);

	return table->count && addr && slots[slot_of(table, slots, addr)];
}

bool inner_remove(struct region *region, uint64_t addr)
{
	struct region_table *table = &region->tables[REGION_INNER];
	uint64_t *slots = tables_at(region, REGION_INNER);
	uint32_t mask = table->capacity - 1, hole, i;

	if (!table->count || !addr)
		return false;
	hole = slot_of(table, slots, addr);
	if (!slots[hole])
		return false;
	for (i = (hole + 1) & mask; slots[i]; i = (i + 1) & mask) {
		/* May it move into the hole, or does it lie behind it by its own home? */
		if (((i - home(table, slots[i])) & mask) < ((i - hole) & mask))
			continue;
		slots[hole] = slots[i];
		hole = i;
	}
	slots[hole] = 0;
	table->count--;
	return true;
}

void inner_clear(struct region *region, struct region_space *space)
{
	static const struct region_table none;
	uint32_t item_bytes = region->tables[REGION_INNER].item_bytes;

	tables_replace(region, space, REGION_INNER, &none);
	region->tables[REGION_INNER].item_bytes = item_bytes;
}
