/*
 * Adding up; see tally.h.
 *
 * Of each context it is known how much of the agent's sums is in the region (`added`), and how
 * many of those blocks the agent still has (`blocks`, `bytes`).  A block comes to the region
 * when its context's sums are there: the counts stay as they are, and only its place changes.
 * A block that goes from the region to the agent's table takes its allocation out of the counts
 * and out of `added`: with the next sum it is one of the agent's.  (If it stayed, and its free came
 * with the next sum alone, all that were allocated until then would be in use at once: the peak.)
 */
#include "capture/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "region/counters.h"
#include "region/interned.h"
#include "region/live.h"

enum { FIRST = 1024, FRAMES_MOST = 512 };

void tally_go_on(struct tally *tally, const struct shared *shared, struct region *region,
		 struct region_space *space)
{
	*tally = (struct tally){.shared = shared, .region = region, .space = space};
	atomic_store(&tally->counts, true);
}

void tally_begin(struct tally *tally, const struct shared *shared, struct region *region,
		 struct region_space *space)
{
	tally_go_on(tally, shared, region, space);
	ages_clear(&tally->ages, shared, 0);
}

void tally_end(struct tally *tally)
{
	free(tally->contexts);
	free(tally->sums);
	*tally = (struct tally){.shared = NULL};
}

static void damage(struct tally *tally)
{
	if (!tally->damaged)
		region_lost(tally->region);
	tally->damaged = true;
}

static bool grow(struct tally *tally, uint32_t count)
{
	uint32_t capacity = tally->capacity ? tally->capacity : FIRST;
	struct tally_context *contexts;
	struct shared_counters *sums;

	if (count <= tally->capacity)
		return true;
	while (capacity < count)
		capacity *= 2;
	contexts = realloc(tally->contexts, capacity * sizeof(*contexts));
	if (contexts)
		tally->contexts = contexts;
	sums = realloc(tally->sums, capacity * sizeof(*sums));
	if (sums)
		tally->sums = sums;
	if (!contexts || !sums)
		return false;
	memset(contexts + tally->capacity, 0, (capacity - tally->capacity) * sizeof(*contexts));
	tally->capacity = capacity;
	return true;
}

/* The region's context of the same call stack; 0: none. */
static uint32_t intern(struct tally *tally, uint32_t context)
{
	uint32_t node = interned_leaf(tally->shared, context);
	frame_t frames[FRAMES_MOST];
	struct shared_node n;
	size_t count = 0;

	for (; node >= WALK_ENDS && count < FRAMES_MOST; node = n.parent) {
		if (!interned_node(tally->shared, node, &n))
			break;
		frames[count++] = n.frame;
	}
	if (!count || node >= WALK_ENDS) {
		damage(tally);
		return REGION_OVERFLOW_CONTEXT;
	}
	return region_context(tally->region, tally->space, frames, count, (enum walk_end)node);
}

/* NULL: there is none such, or memory is short. */
static struct tally_context *context_of(struct tally *tally, uint32_t context)
{
	if (!context || context >= interned_contexts(tally->shared) ||
	    !grow(tally, context + 1))
		return NULL;
	if (!tally->contexts[context].id)
		tally->contexts[context].id = intern(tally, context);
	return &tally->contexts[context];
}

/* ---- counters -------------------------------------------------------------- */

static void add(struct tally *tally, uint32_t context, const struct shared_counters *sum,
		uint32_t now)
{
	struct tally_context *of = &tally->contexts[context];
	const struct region_counts more = {
		.allocs = sum->allocs - of->added.allocs,
		.allocated_bytes = sum->allocated_bytes - of->added.allocated_bytes,
		.frees = sum->frees - of->added.frees,
		.freed_bytes = sum->freed_bytes - of->added.freed_bytes};

	if (!(more.allocs | more.allocated_bytes | more.frees | more.freed_bytes))
		return;
	of = context_of(tally, context);
	if (!of || !region_add(tally->region, of->id, &more, now)) {
		damage(tally);
		return;
	}
	of->added = *sum;
	of->blocks += more.allocs - more.frees;
	of->bytes += more.allocated_bytes - more.freed_bytes;
}

bool tally_counters(struct tally *tally, uint32_t now)
{
	uint32_t count = tally->shared ? interned_contexts(tally->shared) : 0;
	bool all = !tally->shared || grow(tally, count);

	if (count > tally->capacity)
		count = tally->capacity;
	if (!count)
		return all;
	memset(tally->sums, 0, count * sizeof(*tally->sums));
	counters_sum(tally->shared, tally->sums, count);
	for (uint32_t context = 1; context < count; context++)
		add(tally, context, &tally->sums[context], now);
	return all;
}

/* ---- blocks ---------------------------------------------------------------- */

static struct region_block block_of(struct tally *tally, const struct live_block *block)
{
	const struct tally_context *of = context_of(tally, block->context);

	return (struct region_block){.addr = block->addr,
				     .size = block->size,
				     .level = block->level,
				     .context = of ? of->id : REGION_OVERFLOW_CONTEXT,
				     .time = ages_time(&tally->ages, block->age)};
}

/* A block that is in no table of the agent's any more is the region's; it is in its counts. */
static bool come_over(struct tally *tally, const struct live_block *block, uint32_t now,
		      struct region_block *ret)
{
	struct tally_context *of = context_of(tally, block->context);
	const uint64_t by = sample_weight(block->level, block->size);
	struct shared_counters sum = {0};

	if (!of)
		return false;
	counters_sum_one(tally->shared, block->context, &sum);
	add(tally, block->context, &sum, now);
	if (of->blocks < by || of->bytes < by * block->size)
		return false;
	*ret = block_of(tally, block);
	of->blocks -= by;
	of->bytes -= by * block->size;
	return true;
}

void tally_adopt(struct tally *tally, uint64_t addr, uint32_t now)
{
	struct live_block block;
	struct region_block to;

	if (!tally->shared || !addr || !live_find(tally->shared, addr, &block) ||
	    block.context == LIVE_ELSEWHERE)
		return;
	live_remove(&block);
	if (!come_over(tally, &block, now, &to) ||
	    !region_adopt(tally->region, tally->space, &to))
		damage(tally);
}

bool tally_taken(struct tally *tally, const struct shared_pending *pending, uint32_t now,
		 struct region_block *ret)
{
	const struct live_block block = {.addr = pending->addr,
					 .size = pending->size,
					 .context = pending->context,
					 .age = pending->age,
					 .level = pending->level};
	bool counted = tally->shared && pending->addr && pending->context;

	if (counted && !come_over(tally, &block, now, ret)) {
		damage(tally);
		counted = false;
	}
	if (counted)
		region_taken(tally->region, ret);
	return counted;
}

/* The agent's context of the region's call stack; 0: none, or no room for it. */
static uint32_t intern_there(struct tally *tally, uint32_t id)
{
	uint32_t node = region_context_at(tally->region, id)->node, context;
	frame_t frames[FRAMES_MOST];
	size_t count = 0;

	for (; node >= WALK_ENDS; node = region_node(tally->region, node)->parent) {
		if (count == FRAMES_MOST)
			return 0;
		frames[count++] = region_node(tally->region, node)->frame;
	}
	context = count ? interned_context(tally->shared, frames, count, (enum walk_end)node) : 0;
	return context && grow(tally, context + 1) ? context : 0;
}

/* The agent has it from now on, and its free needs no stop.  (But the first of its stack: by that
 * it is known since when there are any.) */
static bool yield(struct tally *tally, const struct region_block *from, bool all)
{
	const struct region_block block = *from;
	const uint64_t by = sample_weight(block.level, block.size);
	bool first = !all && region_context_at(tally->region, block.context)->allocs == by;
	uint32_t context = first ? 0 : intern_there(tally, block.context);
	uint64_t *place = context ? live_place(tally->shared, block.addr, block.size) : NULL;
	struct tally_context *of;

	struct live_block to = {.addr = block.addr,
				.size = block.size,
				.context = context,
				.age = ages_mark(&tally->ages, block.time),
				.level = block.level};

	if (!place || !live_note_aged(tally->shared, place, &to))
		return false;
	of = &tally->contexts[context];
	of->id = block.context;
	of->added.allocs -= by;
	of->added.allocated_bytes -= by * block.size;
	return region_yield(tally->region, block.addr);
}

void tally_settle(struct tally *tally, uint64_t addr)
{
	const struct region_block *own;
	struct live_block block;
	uint64_t *place;
	bool inner;

	if (!tally->shared || !addr)
		return;
	if (live_find(tally->shared, addr, &block)) {
		if (block.context != LIVE_ELSEWHERE)
			return;
		live_remove(&block); /* (nobody comes to it but by a stop) */
	}
	own = region_find(tally->region, addr);
	inner = region_inner_has(tally->region, addr);
	if ((!own && !inner) || (own && !inner && yield(tally, own, false)))
		return;
	place = live_place(tally->shared, addr, 0);
	if (!place || !live_note(tally->shared, place, addr, LIVE_ELSEWHERE, 0))
		shared_full(tally->shared, SHARED_PART_PLACE);
}

/* ---- leaving, and coming back ------------------------------------------------ */

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
	if (block->context != REGION_OVERFLOW_CONTEXT && yield(tally, block, true))
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
	*number = id == REGION_OVERFLOW_CONTEXT ? 0 : intern_there(tally, id);
	*ret = (struct tally_context){.id = id};
	if (*number)
		*ret = tally->contexts[*number];
	ret->id = id;
	return *number || id == REGION_OVERFLOW_CONTEXT;
}

bool tally_restore(struct tally *tally, uint32_t number, const struct tally_context *saved)
{
	if (number >= interned_contexts(tally->shared) || !grow(tally, number + 1) ||
	    (number && intern(tally, number) != saved->id))
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

struct visiting {
	struct tally *tally;
	void (*visit)(void *arg, const struct region_block *block);
	void *arg;
};

static void visit_live(void *arg, const struct live_block *live)
{
	struct visiting *v = arg;
	struct region_block block;

	if (live->context == LIVE_ELSEWHERE)
		return;
	block = block_of(v->tally, live);
	v->visit(v->arg, &block);
}

void tally_for_each_block(struct tally *tally,
			  void (*visit)(void *arg, const struct region_block *block), void *arg)
{
	struct visiting v = {tally, visit, arg};

	if (tally->shared)
		live_for_each(tally->shared, visit_live, &v);
}

static void forget_live(void *arg, const struct live_block *block)
{
	(void)arg;
	if (block->context != LIVE_ELSEWHERE) /* (it is settled when it is freed) */
		live_remove(block);
}

void tally_clear(struct tally *tally)
{
	if (!tally->shared)
		return;
	tally_counters(tally, 0);
	for (uint32_t i = 0; i < tally->capacity; i++)
		tally->contexts[i].blocks = tally->contexts[i].bytes = 0;
	live_for_each(tally->shared, forget_live, NULL);
}
