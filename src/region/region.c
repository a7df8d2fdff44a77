/*
 * The region's door: what is counted, and when.
 *
 * Invariants, at every return from here (contexts c, live blocks b):
 *   1. allocated - freed bytes of c  = sum of size over c's b (and those taken)
 *   2. allocs - frees of c           = number of c's b        (and those taken)
 *   3. totals                        = sum over all c, the overflow context included
 *   4. peak >= in use, for each c and in total
 * "Taken" are the blocks between region_take() and region_free()/region_put_back().
 *
 * Freestanding: nothing but the compiler's headers.  (A compiler may turn the loops
 * that copy or zero into calls of memcpy and memset; whoever links this into a
 * program without libc provides those two.)
 */
#include "region/region.h"

#include "region/arrays.h"
#include "region/blocks.h"
#include "region/inner.h"
#include "region/sequence.h"
#include "region/stacks.h"
#include "region/tables.h"

enum { /* items of the first segments, as powers of two */
	FIRST_NODES = 12,
	FIRST_CONTEXTS = 10,
	FIRST_MODULES = 7,
};

static bool create_table(struct region *region, struct region_space *space,
			 enum region_table_id id, uint32_t item_bytes, uint32_t capacity)
{
	struct region_table fresh;

	region->tables[id].item_bytes = item_bytes;
	if (!tables_prepare(region, space, id, capacity, &fresh))
		return false;
	tables_replace(region, space, id, &fresh);
	return true;
}

static void create_array(struct region *region, enum region_array_id id, uint32_t item_bytes,
			 uint32_t first_bits)
{
	region->arrays[id].item_bytes = item_bytes;
	region->arrays[id].first_bits = first_bits;
}

static bool create_all(struct region *region, struct region_space *space)
{
	create_array(region, REGION_NODES, sizeof(struct region_node), FIRST_NODES);
	create_array(region, REGION_CONTEXTS, sizeof(struct region_context), FIRST_CONTEXTS);
	create_array(region, REGION_MODULES, sizeof(struct region_module), FIRST_MODULES);
	region->tables[REGION_INNER].item_bytes = sizeof(uint64_t);
	return arrays_room(region, space, REGION_NODES) &&
	       create_table(region, space, REGION_INDEX, sizeof(uint32_t),
			    STACKS_FIRST_INDEX) &&
	       arrays_room(region, space, REGION_CONTEXTS) &&
	       create_table(region, space, REGION_BLOCKS, sizeof(struct region_block),
			    BLOCKS_FIRST_CAPACITY);
}

/* By halves: a store of eight bytes is not one on every CPU (ARMv5). */
static void store_magic(struct region *region)
{
	const uint64_t magic = REGION_MAGIC;
	uint32_t *half = (uint32_t *)&region->magic, from[2];

	__builtin_memcpy(from, &magic, sizeof(from));
	__atomic_store_n(&half[0], from[0], __ATOMIC_RELEASE);
	__atomic_store_n(&half[1], from[1], __ATOMIC_RELEASE);
}

int region_init(struct region_space *space, struct region **ret)
{
	struct region *region = (struct region *)space->base;
	struct region_context *overflow;
	int failed;

	if (space->limit < REGION_GRANULE)
		return -12; /* -ENOMEM, the same on every Linux */
	failed = space->commit(space, 0, REGION_GRANULE);
	if (failed < 0)
		return failed;
	*region = (struct region){.version = REGION_VERSION, .header_bytes = sizeof(*region)};
	if (!create_all(region, space))
		return -12;
	for (int i = 0; i < WALK_ENDS; i++)
		arrays_publish(region, REGION_NODES);
	overflow = arrays_at(region, REGION_CONTEXTS, REGION_OVERFLOW_CONTEXT);
	overflow->node = WALK_LOST;
	arrays_publish(region, REGION_CONTEXTS);
	store_magic(region);
	*ret = region;
	return 0;
}

uint32_t region_context(struct region *region, struct region_space *space,
			const frame_t *frames, size_t count, enum walk_end end)
{
	uint32_t leaf = stacks_intern(region, space, frames, count, end), id;
	struct region_context *context;
	struct region_node *node;

	if (leaf == STACKS_NONE)
		return REGION_OVERFLOW_CONTEXT;
	node = arrays_at(region, REGION_NODES, leaf);
	if (node->context)
		return node->context;
	if (!arrays_room(region, space, REGION_CONTEXTS))
		return REGION_OVERFLOW_CONTEXT;
	id = region->arrays[REGION_CONTEXTS].count;
	context = arrays_at(region, REGION_CONTEXTS, id);
	context->node = leaf;
	arrays_publish(region, REGION_CONTEXTS);
	__atomic_store_n(&node->context, id, __ATOMIC_RELEASE);
	return id;
}

/* So many allocations, and bytes. */
static uint64_t count_of(const struct region_block *block)
{
	return sample_weight(block->level, block->size);
}

static uint64_t bytes_of(const struct region_block *block)
{
	return count_of(block) * block->size;
}

static struct region_context *context_of(struct region *region, uint32_t id)
{
	return arrays_at(region, REGION_CONTEXTS,
			 id < region->arrays[REGION_CONTEXTS].count ? id
								    : REGION_OVERFLOW_CONTEXT);
}

static void count_alloc(struct region *region, const struct region_block *block)
{
	struct region_totals *totals = &region->totals;
	struct region_context *c = context_of(region, block->context);

	totals->allocs += count_of(block);
	totals->allocated_bytes += bytes_of(block);
	if (totals->peak_bytes < totals->allocated_bytes - totals->freed_bytes)
		totals->peak_bytes = totals->allocated_bytes - totals->freed_bytes;
	sequence_begin(&c->sequence);
	if (!c->allocs)
		c->first_time = block->time;
	c->last_time = block->time;
	c->allocs += count_of(block);
	c->allocated_bytes += bytes_of(block);
	if (c->peak_bytes < c->allocated_bytes - c->freed_bytes)
		c->peak_bytes = c->allocated_bytes - c->freed_bytes;
	sequence_end(&c->sequence);
	__atomic_store_n(&region->last_seen, block->time, __ATOMIC_RELAXED);
}

static void count_free(struct region *region, const struct region_block *block)
{
	struct region_context *c = context_of(region, block->context);

	region->totals.frees += count_of(block);
	region->totals.freed_bytes += bytes_of(block);
	sequence_begin(&c->sequence);
	c->frees += count_of(block);
	c->freed_bytes += bytes_of(block);
	sequence_end(&c->sequence);
}

/* As if this block had never been.  A context that was only ever the inner half of
 * calls is again one that never allocated. */
static void uncount_alloc(struct region *region, const struct region_block *block)
{
	struct region_context *c = context_of(region, block->context);

	region->totals.allocs -= count_of(block);
	region->totals.allocated_bytes -= bytes_of(block);
	sequence_begin(&c->sequence);
	c->allocated_bytes -= bytes_of(block);
	c->allocs -= count_of(block);
	if (!c->allocs)
		c->peak_bytes = c->first_time = c->last_time = 0;
	sequence_end(&c->sequence);
}

void region_alloc(struct region *region, struct region_space *space, uint64_t addr,
		  uint64_t size, uint32_t context, uint32_t now, bool replace)
{
	const struct region_block block = {
		.addr = addr, .size = size, .context = context, .time = now};

	region_alloc_block(region, space, &block, replace);
}

void region_alloc_block(struct region *region, struct region_space *space,
			const struct region_block *block, bool replace)
{
	struct region_block *slot =
		block->addr ? blocks_slot(region, space, block->addr) : NULL;

	sequence_begin(&region->totals_sequence);
	if (!slot) {
		region->totals.overflow_blocks += block->addr != 0;
		sequence_end(&region->totals_sequence);
		return;
	}
	if (!slot->addr) {
		region->tables[REGION_BLOCKS].count++;
	} else if (replace) {
		region->totals.live_blocks -= count_of(slot);
		uncount_alloc(region, slot);
	} else {
		region->totals.lost_events++;
		region->totals.live_blocks -= count_of(slot);
		count_free(region, slot);
	}
	region->totals.live_blocks += count_of(block);
	*slot = *block;
	count_alloc(region, block);
	sequence_end(&region->totals_sequence);
}

/* Bytes and calls come one after the other, so of calls in flight there may be one without the
 * other; never more freed than allocated. */
static bool is_sum(const struct region_context *c, const struct region_counts *counts)
{
	struct region_counts sum = {.allocs = c->allocs + counts->allocs,
				    .frees = c->frees + counts->frees,
				    .allocated_bytes = c->allocated_bytes + counts->allocated_bytes,
				    .freed_bytes = c->freed_bytes + counts->freed_bytes};

	return sum.allocs >= c->allocs && sum.allocated_bytes >= c->allocated_bytes &&
	       sum.frees >= c->frees && sum.freed_bytes >= c->freed_bytes &&
	       sum.frees <= sum.allocs && sum.freed_bytes <= sum.allocated_bytes;
}

static void raise(uint64_t *peak, uint64_t in_use)
{
	if (*peak < in_use)
		*peak = in_use;
}

bool region_add(struct region *region, uint32_t context, const struct region_counts *counts,
		uint32_t first, uint32_t last)
{
	struct region_totals *totals = &region->totals;
	struct region_context *c = context_of(region, context);

	if (!is_sum(c, counts))
		return false;
	sequence_begin(&region->totals_sequence);
	totals->allocs += counts->allocs;
	totals->allocated_bytes += counts->allocated_bytes;
	totals->frees += counts->frees;
	totals->freed_bytes += counts->freed_bytes;
	totals->live_blocks += counts->allocs - counts->frees;
	raise(&totals->peak_bytes, totals->allocated_bytes - totals->freed_bytes);
	sequence_begin(&c->sequence);
	if (counts->allocs) {
		if (!c->allocs)
			c->first_time = first;
		c->last_time = last;
	}
	c->allocs += counts->allocs;
	c->allocated_bytes += counts->allocated_bytes;
	c->frees += counts->frees;
	c->freed_bytes += counts->freed_bytes;
	raise(&c->peak_bytes, c->allocated_bytes - c->freed_bytes);
	sequence_end(&c->sequence);
	if (counts->allocs)
		__atomic_store_n(&region->last_seen, last, __ATOMIC_RELAXED);
	sequence_end(&region->totals_sequence);
	return true;
}

bool region_adopt(struct region *region, struct region_space *space,
		  const struct region_block *block)
{
	struct region_block *slot = blocks_slot(region, space, block->addr);

	if (!slot || slot->addr)
		return false;
	*slot = *block;
	region->tables[REGION_BLOCKS].count++;
	return true;
}

bool region_yield(struct region *region, uint64_t addr)
{
	struct region_block *block = blocks_find(region, addr);
	struct region_block copy;

	if (!block)
		return false;
	copy = *block;
	blocks_remove(region, block);
	sequence_begin(&region->totals_sequence);
	region->totals.live_blocks -= count_of(&copy);
	uncount_alloc(region, &copy);
	sequence_end(&region->totals_sequence);
	return true;
}

bool region_take(struct region *region, uint64_t addr, struct region_block *ret)
{
	struct region_block *block = blocks_find(region, addr);

	if (!block)
		return false;
	*ret = *block;
	blocks_remove(region, block);
	region_taken(region, ret);
	return true;
}

void region_taken(struct region *region, const struct region_block *block)
{
	sequence_begin(&region->totals_sequence);
	region->totals.live_blocks -= count_of(block);
	sequence_end(&region->totals_sequence);
}

/* Whether a taken block can be among those counted; not when the region was cleared
 * since.  Sure only as far as nothing below zero may come of it: see region.h. */
static bool is_counted(struct region *region, const struct region_block *block)
{
	const struct region_context *c = context_of(region, block->context);

	return c->allocs - c->frees >= count_of(block) &&
	       c->allocated_bytes - c->freed_bytes >= bytes_of(block);
}

void region_free(struct region *region, const struct region_block *block)
{
	sequence_begin(&region->totals_sequence);
	if (is_counted(region, block))
		count_free(region, block);
	else
		region->totals.frees_of_unknown++;
	sequence_end(&region->totals_sequence);
}

void region_put_back(struct region *region, struct region_space *space,
		     const struct region_block *block)
{
	struct region_block *slot;

	if (!is_counted(region, block))
		return;
	slot = blocks_slot(region, space, block->addr);
	sequence_begin(&region->totals_sequence);
	if (!slot) {
		region->totals.overflow_blocks++;
		uncount_alloc(region, block);
	} else if (slot->addr) {
		region->totals.lost_events++;
		count_free(region, block);
	} else {
		*slot = *block;
		region->tables[REGION_BLOCKS].count++;
		region->totals.live_blocks += count_of(block);
	}
	sequence_end(&region->totals_sequence);
}

/* One more of a total that belongs to no context. */
static void total_add(struct region *region, uint64_t *total)
{
	sequence_begin(&region->totals_sequence);
	++*total;
	sequence_end(&region->totals_sequence);
}

void region_free_unknown(struct region *region)
{
	total_add(region, &region->totals.frees_of_unknown);
}

void region_inner_add(struct region *region, struct region_space *space, uint64_t addr)
{
	if (!inner_add(region, space, addr))
		total_add(region, &region->totals.overflow_blocks);
}

bool region_inner_remove(struct region *region, uint64_t addr)
{
	return inner_remove(region, addr);
}

bool region_inner_has(const struct region *region, uint64_t addr)
{
	return inner_has(region, addr);
}

void region_inner_clear(struct region *region, struct region_space *space)
{
	inner_clear(region, space);
}

void region_lost(struct region *region)
{
	total_add(region, &region->totals.lost_events);
}

void region_clear(struct region *region, struct region_space *space)
{
	/* Odd until all are zero: no reader sees some of them cleared and others not. */
	sequence_begin(&region->totals_sequence);
	__atomic_store_n(&region->clears, region->clears + 1, __ATOMIC_RELAXED);
	blocks_clear(region, space);
	region->totals = (struct region_totals){0};
	for (uint32_t i = 0; i < region->arrays[REGION_CONTEXTS].count; i++) {
		struct region_context *c = arrays_at(region, REGION_CONTEXTS, i);

		sequence_begin(&c->sequence);
		c->allocs = c->frees = c->allocated_bytes = c->freed_bytes = c->peak_bytes = 0;
		c->first_time = c->last_time = 0;
		sequence_end(&c->sequence);
	}
	sequence_end(&region->totals_sequence);
}

const struct region_totals *region_totals(const struct region *region)
{
	return &region->totals;
}

uint32_t region_node_count(const struct region *region)
{
	return region->arrays[REGION_NODES].count;
}

const struct region_node *region_node(const struct region *region, uint32_t node)
{
	return arrays_at(region, REGION_NODES, node);
}

uint32_t region_context_count(const struct region *region)
{
	return region->arrays[REGION_CONTEXTS].count;
}

const struct region_context *region_context_at(const struct region *region, uint32_t id)
{
	return arrays_at(region, REGION_CONTEXTS, id);
}

const struct region_block *region_find(const struct region *region, uint64_t addr)
{
	return blocks_find(region, addr);
}

uint32_t region_block_count(const struct region *region)
{
	return region->tables[REGION_BLOCKS].count + region->tables[REGION_BLOCKS_BEFORE].count;
}

void region_for_each_block(const struct region *region,
			   void (*visit)(void *arg, const struct region_block *block),
			   void *arg)
{
	blocks_for_each(region, visit, arg);
}

uint64_t region_memory(const struct region *region)
{
	uint64_t bytes = REGION_GRANULE;

	for (int i = 0; i < REGION_TABLES; i++)
		bytes += region->tables[i].bytes;
	for (int i = 0; i < REGION_ARRAYS; i++)
		bytes += region->arrays[i].bytes;
	return bytes;
}
