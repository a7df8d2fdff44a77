/*
 * Adding up; see tally.h.
 *
 * Of each context it is known how much of the agent's sums is in the region (`added`), and how
 * many of those blocks the agent still has (`blocks`, `bytes`).  A block comes to the region
 * when its context's sums are there: the counts stay as they are, and only its place changes.
 * A block that goes from the region to the agent's table takes its allocation along, to the agent's
 * sums: with the next one it is back.  (If it stayed, and its free came with that sum alone, all that were
 * allocated until then would be in use at once: the peak.)
 *
 * What the region counts by itself is told to the agent's sums, and `added` with it, so that behind each call
 * these have all that there is: if we are killed, the next memtrace has every count (capture/kept.h).
 */
#include "capture/tally.h"

#include <stdlib.h>
#include <string.h>

#include "capture/parts.h"
#include "capture/tally_parts.h"
#include "region/atom.h"
#include "region/counters.h"
#include "region/interned.h"
#include "region/known.h"
#include "region/live.h"

enum { FIRST = 1024, FRAMES_MOST = 512 };

/* (A memtrace without that part has nothing of what follows.) */
static inline bool has_agent(const struct tally *tally)
{
	return parts_have(PART_agent) && tally->shared;
}

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
	free(tally->numbers);
	*tally = (struct tally){.shared = NULL};
}

static void damage(struct tally *tally)
{
	if (!tally->damaged)
		region_lost(tally->region);
	tally->damaged = true;
}

bool tally_grow(struct tally *tally, uint32_t count)
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
uint32_t tally_intern(struct tally *tally, uint32_t context)
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
	    !tally_grow(tally, context + 1))
		return NULL;
	if (!tally->contexts[context].id)
		tally->contexts[context].id = tally_intern(tally, context);
	return &tally->contexts[context];
}

/* ---- counters -------------------------------------------------------------- */

/* Of those that nobody else writes while we are there. */
static struct shared_counters *own_counters(const struct tally *tally, uint32_t context)
{
	return counters_of(tally->shared, KNOWN_NONE, context);
}

static void allocs_add(struct shared_counters *counters, uint64_t allocs, uint64_t bytes)
{
	atom_add64_of_many(&counters->allocated_bytes, bytes);
	atom_add64_of_many(&counters->allocs, allocs);
}

static void frees_add(struct shared_counters *counters, uint64_t frees, uint64_t bytes)
{
	atom_add64_of_many(&counters->freed_bytes, bytes);
	atom_add64_of_many(&counters->frees, frees);
}

/* When the first and the last of so many allocations were: known of those that we gave. */
static bool add_when(struct tally *tally, struct tally_context *of, const struct region_counts *more,
		     uint32_t now)
{
	uint32_t first = of->given ? of->given_first : now;
	uint32_t last = of->given == more->allocs && of->given ? of->given_last : now;

	of->given = 0;
	return region_add(tally->region, of->id, more, first, last);
}

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
	if (!of || !add_when(tally, of, &more, now)) {
		damage(tally);
		return;
	}
	of->added = *sum;
	of->blocks += more.allocs - more.frees;
	of->bytes += more.allocated_bytes - more.freed_bytes;
}

static void touch(struct tally *tally, uint32_t id)
{
	for (unsigned i = 0; i < TALLY_TOUCHED; i++) {
		if (!tally->touched[i])
			tally->touched[i] = id;
		if (tally->touched[i] == id)
			return;
	}
}

/* The region may have a block there. */
static void touch_own(struct tally *tally, uint64_t addr)
{
	const struct region_block *own = region_find(tally->region, addr);

	if (own)
		touch(tally, own->context);
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
	touch(tally, of->id);
	return true;
}

void tally_adopt(struct tally *tally, uint64_t addr, uint32_t now)
{
	struct live_block block;
	struct region_block to;

	if (!has_agent(tally) || !addr)
		return;
	touch_own(tally, addr);
	if (!live_find(tally->shared, addr, &block) || block.context == LIVE_ELSEWHERE)
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
	bool counted = has_agent(tally) && pending->addr && pending->context;

	if (counted && !come_over(tally, &block, now, ret)) {
		damage(tally);
		counted = false;
	}
	if (counted)
		region_taken(tally->region, ret);
	return counted;
}

/* The agent's context of the region's call stack; 0: none, or no room for it. */
static uint32_t look_up_there(struct tally *tally, uint32_t id)
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
	return context && tally_grow(tally, context + 1) ? context : 0;
}

uint32_t tally_intern_there(struct tally *tally, uint32_t id)
{
	uint32_t capacity = tally->number_count ? tally->number_count : FIRST;
	uint32_t *numbers;

	while (capacity <= id)
		capacity *= 2;
	if (id >= tally->number_count) {
		numbers = realloc(tally->numbers, capacity * sizeof(*numbers));
		if (!numbers)
			return 0;
		memset(numbers + tally->number_count, 0,
		       (capacity - tally->number_count) * sizeof(*numbers));
		tally->numbers = numbers;
		tally->number_count = capacity;
	}
	if (!tally->numbers[id])
		tally->numbers[id] = look_up_there(tally, id);
	return tally->numbers[id];
}

static void note_given(struct tally_context *of, const struct region_block *block, uint64_t by)
{
	of->id = block->context;
	if (!of->given)
		of->given_first = block->time;
	of->given_last = block->time;
	of->given += by;
}

/* The agent has it from now on, and its free needs no stop. */
bool tally_yield(struct tally *tally, const struct region_block *from)
{
	const struct region_block block = *from;
	const struct region_context before = *region_context_at(tally->region, block.context);
	const uint64_t by = sample_weight(block.level, block.size);
	uint32_t context = tally_intern_there(tally, block.context);
	uint64_t *place = context ? live_place(tally->shared, block.addr, block.size) : NULL;
	struct shared_counters *counters = place ? own_counters(tally, context) : NULL;
	struct live_block to = {.addr = block.addr,
				.size = block.size,
				.context = context,
				.age = ages_label(&tally->ages, block.time),
				.level = block.level};

	if (!counters)
		return false;
	allocs_add(counters, by, by * block.size);
	if (!live_note_aged(tally->shared, place, &to)) {
		allocs_add(counters, -by, -by * block.size);
		return false;
	}
	note_given(&tally->contexts[context], &block, by);
	if (!region_yield(tally->region, block.addr))
		return false;
	region_keep_times(tally->region, block.context, &before);
	return true;
}

/* ---- telling what we count ----------------------------------------------------- */

static void tell(struct tally *tally, uint32_t id)
{
	const struct region_context *c = region_context_at(tally->region, id);
	uint32_t context = id != REGION_OVERFLOW_CONTEXT ? tally_intern_there(tally, id) : 0;
	struct shared_counters *added = context ? &tally->contexts[context].added : NULL;
	struct shared_counters *counters = context ? own_counters(tally, context) : NULL;

	if (!counters)
		return;
	tally->contexts[context].id = id;
	allocs_add(counters, c->allocs - added->allocs, c->allocated_bytes - added->allocated_bytes);
	frees_add(counters, c->frees - added->frees, c->freed_bytes - added->freed_bytes);
	*added = (struct shared_counters){c->allocs, c->allocated_bytes, c->frees, c->freed_bytes};
}

void tally_tell(struct tally *tally)
{
	for (unsigned i = 0; has_agent(tally) && i < TALLY_TOUCHED && tally->touched[i]; i++) {
		tell(tally, tally->touched[i]);
		tally->touched[i] = 0;
	}
}

/* What calls have changed in the end that they were not about (a longjmp, a thread's end). */
static void tell_rest(struct tally *tally, uint32_t count)
{
	for (uint32_t context = 1; context < count; context++) {
		const struct tally_context *of = &tally->contexts[context];
		const struct region_context *c = region_context_at(tally->region, of->id);

		if (of->id != REGION_OVERFLOW_CONTEXT &&
		    (c->allocs != of->added.allocs || c->frees != of->added.frees))
			tell(tally, of->id);
	}
}

bool tally_counters(struct tally *tally, uint32_t now)
{
	uint32_t count = has_agent(tally) ? interned_contexts(tally->shared) : 0;
	bool all = !has_agent(tally) || tally_grow(tally, count);

	if (count > tally->capacity)
		count = tally->capacity;
	if (!count)
		return all;
	memset(tally->sums, 0, count * sizeof(*tally->sums));
	counters_sum(tally->shared, tally->sums, count);
	for (uint32_t context = 1; context < count; context++)
		add(tally, context, &tally->sums[context], now);
	tell_rest(tally, count);
	return all;
}

void tally_settle(struct tally *tally, uint64_t addr)
{
	const struct region_block *own;
	struct live_block block;
	uint64_t *place;
	bool inner;

	if (!has_agent(tally) || !addr)
		return;
	if (live_find(tally->shared, addr, &block)) {
		if (block.context != LIVE_ELSEWHERE)
			return;
		live_remove(&block); /* (nobody comes to it but by a stop) */
	}
	own = region_find(tally->region, addr);
	inner = region_inner_has(tally->region, addr);
	if ((!own && !inner) || (own && !inner && tally_yield(tally, own)))
		return;
	touch_own(tally, addr);
	place = live_place(tally->shared, addr, 0);
	if (!place || !live_note(tally->shared, place, addr, LIVE_ELSEWHERE, 0))
		shared_full(tally->shared, SHARED_PART_PLACE);
}

/* ---- all of them ------------------------------------------------------------ */

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

	if (has_agent(tally))
		live_for_each(tally->shared, visit_live, &v);
}

static void forget_live(void *arg, const struct live_block *block)
{
	(void)arg;
	if (block->context != LIVE_ELSEWHERE) /* (it is settled when it is freed) */
		live_remove(block);
}

/* The sums begin anew, too. */
static void forget_counts(struct tally *tally, uint32_t context)
{
	struct tally_context *of = &tally->contexts[context];
	const struct shared_counters *added = &of->added;
	struct shared_counters *counters =
		added->allocs | added->frees ? own_counters(tally, context) : NULL;

	of->blocks = of->bytes = 0;
	if (!counters)
		return;
	allocs_add(counters, -added->allocs, -added->allocated_bytes);
	frees_add(counters, -added->frees, -added->freed_bytes);
	of->added = (struct shared_counters){0};
}

void tally_clear(struct tally *tally)
{
	if (!has_agent(tally))
		return;
	tally_counters(tally, 0);
	live_for_each(tally->shared, forget_live, NULL);
	for (uint32_t i = 1; i < tally->capacity; i++)
		forget_counts(tally, i);
}
