/* From one memtrace to the next: all blocks are the agent's, and what is known of its contexts is kept; see tally.h. */
#include "base/vec.h"
#include "capture/tally_parts.h"
#include "region/interned.h"
#include "region/live.h"

VEC_TYPE(tally_blocks, struct region_block);

static void note_block(void *arg, const struct region_block *block)
{
	(void)vec_push((struct tally_blocks *)arg, *block); /* (there is room) */
}

/* Whatever the agent was told of it before. */
static bool yield_one(struct tally *tally, const struct region_block *block)
{
	struct live_block marked;

	if (live_find(tally->shared, block->addr, &marked) && marked.context == LIVE_ELSEWHERE)
		live_remove(&marked);
	if (block->context != REGION_OVERFLOW_CONTEXT && tally_yield(tally, block))
		return true;
	tally_settle(tally, block->addr);
	return false;
}

bool tally_yield_all(struct tally *tally, uint32_t now)
{
	struct tally_blocks blocks = {0};
	bool all = vec_reserve(&blocks, region_block_count(tally->region) + 1);

	if (all) /* (it may not change while it is looked through) */
		region_for_each_block(tally->region, note_block, &blocks);
	for (size_t i = 0; all && i < blocks.len; i++)
		all = yield_one(tally, &blocks.at[i]);
	vec_deinit(&blocks);
	return tally_counters(tally, now) && all;
}

bool tally_save(struct tally *tally, uint32_t id, uint32_t *number, struct tally_context *ret)
{
	*number = id == REGION_OVERFLOW_CONTEXT ? 0 : tally_intern_there(tally, id);
	*ret = (struct tally_context){.id = id};
	if (*number)
		*ret = tally->contexts[*number];
	ret->id = id;
	return *number || id == REGION_OVERFLOW_CONTEXT;
}

bool tally_restore(struct tally *tally, uint32_t number, const struct tally_context *saved)
{
	if (number >= interned_contexts(tally->shared) || !tally_grow(tally, number + 1) ||
	    (number && tally_intern(tally, number) != saved->id))
		return false;
	if (number)
		tally->contexts[number] = *saved;
	return true;
}

static void inner_restore(void *arg, const struct live_block *block)
{
	struct tally *tally = arg;

	if (block->context == LIVE_ELSEWHERE)
		region_inner_add(tally->region, tally->space, block->addr);
}

void tally_restore_inner(struct tally *tally)
{
	live_for_each(tally->shared, inner_restore, tally);
}
