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

#include "region/blocks.h"
#include "region/inner.h"
#include "region/stacks.h"
#include "region/tables.h"

#define FIRST_CONTEXTS 1024u

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

int region_init(struct region_space *space, struct region **ret)
{
	struct region *region = (struct region *)space->base;
	int failed;

	if (space->limit < REGION_GRANULE)
		return -12; /* -ENOMEM, the same on every Linux */
	failed = space->commit(space, 0, REGION_GRANULE);
	if (failed < 0)
		return failed;
	*region = (struct region){.magic = REGION_MAGIC, .version = REGION_VERSION};
	if (!create_table(region, space, REGION_NODES, sizeof(struct region_node),
			  STACKS_FIRST_NODES) ||
	    !create_table(region, space, REGION_INDEX, sizeof(uint32_t), STACKS_FIRST_INDEX) ||
	    !create_table(region, space, REGION_CONTEXTS, sizeof(struct region_context),
			  FIRST_CONTEXTS) ||
	    !create_table(region, space, REGION_BLOCKS, sizeof(struct region_block),
			  BLOCKS_FIRST_CAPACITY))
		return -12;
	region->tables[REGION_INNER].item_bytes = sizeof(uint64_t);
	region->tables[REGION_NODES].count = WALK_ENDS;
	region->tables[REGION_CONTEXTS].count = 1;
	((struct region_context *)tables_at(region, REGION_CONTEXTS))[0].node = WALK_LOST;
	*ret = region;
	return 0;
}

uint32_t region_context(struct region *region, struct region_space *space,
			const frame_t *frames, size_t count, enum walk_end end)
{
	struct region_table *table = &region->tables[REGION_CONTEXTS];
	uint32_t leaf = stacks_intern(region, space, frames, count, end);
	struct region_context *contexts;
	struct region_node *node;

	if (leaf == STACKS_NONE)
		return REGION_OVERFLOW_CONTEXT;
	node = (struct region_node *)tables_at(region, REGION_NODES) + leaf;
	if (node->context)
		return node->context;
	if (!tables_append(region, space, REGION_CONTEXTS))
		return REGION_OVERFLOW_CONTEXT;
	contexts = tables_at(region, REGION_CONTEXTS);
	contexts[table->count].node = leaf;
	return node->context = table->count++;
}

static struct region_context *context_of(struct region *region, uint32_t id)
{
	struct region_context *contexts = tables_at(region, REGION_CONTEXTS);

	return &contexts[id < region->tables[REGION_CONTEXTS].count ? id
								    : REGION_OVERFLOW_CONTEXT];
}

static void count_alloc(struct region *region, const struct region_block *block)
{
	struct region_totals *totals = &region->totals;
	struct region_context *c = context_of(region, block->context);

	totals->allocs++;
	totals->allocated_bytes += block->size;
	if (totals->peak_bytes < totals->allocated_bytes - totals->freed_bytes)
		totals->peak_bytes = totals->allocated_bytes - totals->freed_bytes;
	if (!c->allocs++)
		c->first_time = block->time;
	c->last_time = block->time;
	c->allocated_bytes += block->size;
	if (c->peak_bytes < c->allocated_bytes - c->freed_bytes)
		c->peak_bytes = c->allocated_bytes - c->freed_bytes;
}

static void count_free(struct region *region, const struct region_block *block)
{
	struct region_context *c = context_of(region, block->context);

	region->totals.frees++;
	region->totals.freed_bytes += block->size;
	c->frees++;
	c->freed_bytes += block->size;
}

/* As if this block had never been.  A context that was only ever the inner half of
 * calls is again one that never allocated. */
static void uncount_alloc(struct region *region, const struct region_block *block)
{
	struct region_context *c = context_of(region, block->context);

	region->totals.allocs--;
	region->totals.allocated_bytes -= block->size;
	c->allocated_bytes -= block->size;
	if (!--c->allocs)
		c->peak_bytes = c->first_time = c->last_time = 0;
}

void region_alloc(struct region *region, struct region_space *space, uint64_t addr,
		  uint64_t size, uint32_t context, uint32_t now, bool replace)
{
	struct region_block block = {addr, size, context, now};
	struct region_block *slot = addr ? blocks_slot(region, space, addr) : NULL;

	if (!slot) {
		region->totals.overflow_blocks += addr != 0;
		return;
	}
	if (!slot->addr) {
		region->tables[REGION_BLOCKS].count++;
		region->totals.live_blocks++;
	} else if (replace) {
		uncount_alloc(region, slot);
	} else {
		region->totals.lost_events++;
		count_free(region, slot);
	}
	*slot = block;
	count_alloc(region, &block);
}

bool region_take(struct region *region, uint64_t addr, struct region_block *ret)
{
	struct region_block *block = blocks_find(region, addr);

	if (!block)
		return false;
	*ret = *block;
	blocks_remove(region, block);
	region->totals.live_blocks--;
	return true;
}

/* Whether a taken block can be among those counted; not when the region was cleared
 * since.  Sure only as far as nothing below zero may come of it: see region.h. */
static bool is_counted(struct region *region, const struct region_block *block)
{
	const struct region_context *c = context_of(region, block->context);

	return c->allocs != c->frees && c->allocated_bytes - c->freed_bytes >= block->size;
}

void region_free(struct region *region, const struct region_block *block)
{
	if (is_counted(region, block))
		count_free(region, block);
	else
		region->totals.frees_of_unknown++;
}

void region_put_back(struct region *region, struct region_space *space,
		     const struct region_block *block)
{
	struct region_block *slot;

	if (!is_counted(region, block))
		return;
	slot = blocks_slot(region, space, block->addr);
	if (!slot) {
		region->totals.overflow_blocks++;
		uncount_alloc(region, block);
	} else if (slot->addr) {
		region->totals.lost_events++;
		count_free(region, block);
	} else {
		*slot = *block;
		region->tables[REGION_BLOCKS].count++;
		region->totals.live_blocks++;
	}
}

void region_free_unknown(struct region *region)
{
	region->totals.frees_of_unknown++;
}

void region_inner_add(struct region *region, struct region_space *space, uint64_t addr)
{
	if (!inner_add(region, space, addr))
		region->totals.overflow_blocks++;
}

bool region_inner_remove(struct region *region, uint64_t addr)
{
	return inner_remove(region, addr);
}

void region_inner_clear(struct region *region, struct region_space *space)
{
	inner_clear(region, space);
}

void region_lost(struct region *region)
{
	region->totals.lost_events++;
}

void region_clear(struct region *region, struct region_space *space)
{
	struct region_context *contexts = tables_at(region, REGION_CONTEXTS);

	blocks_clear(region, space);
	region->totals = (struct region_totals){0};
	for (uint32_t i = 0; i < region->tables[REGION_CONTEXTS].count; i++)
		contexts[i] = (struct region_context){.node = contexts[i].node};
}

const struct region_totals *region_totals(const struct region *region)
{
	return &region->totals;
}

const struct region_node *region_nodes(const struct region *region, uint32_t *count)
{
	*count = region->tables[REGION_NODES].count;
	return tables_at(region, REGION_NODES);
}

const struct region_context *region_contexts(const struct region *region, uint32_t *count)
{
	*count = region->tables[REGION_CONTEXTS].count;
	return tables_at(region, REGION_CONTEXTS);
}

const struct region_block *region_find(const struct region *region, uint64_t addr)
{
	return blocks_find(region, addr);
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
	return bytes;
}
