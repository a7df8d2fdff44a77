/* The region against a naive model, and at its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/types.h"
#include "region/region.h"
#include "region/tables.h"

#define SPACE (4ull << 30)

/* A fixed sequence of numbers (splitmix64), so that a failure comes again. */
static uint64_t seed;

static uint64_t next_random(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static unsigned below(unsigned n)
{
	return (unsigned)(next_random() % n);
}

static struct region_space space;
static struct region *region;

static void begin(uint64_t limit)
{
	assert_int_equal(region_space_private(&space, limit), 0);
	assert_int_equal(region_init(&space, &region), 0);
}

static void end(void)
{
	region_space_deinit(&space);
}

static uint32_t context_count(void)
{
	return region_context_count(region);
}

static struct region_context context_at(uint32_t id)
{
	assert_true(id < region_context_count(region));
	return *region_context_at(region, id);
}

static void test_first_numbers(void **state)
{
	const frame_t stack[] = {frame_of(1, 0x10), frame_of(1, 0x20), frame_of(2, 0x30)};
	uint32_t id;

	(void)state;
	begin(SPACE);
	assert_int_equal(context_count(), 1);
	assert_int_equal(region_node_count(region), WALK_ENDS);
	id = region_context(region, &space, stack, 3, WALK_ROOT);
	assert_int_equal(id, 1);
	region_alloc(region, &space, 0x1000, 100, id, 7, false);
	region_alloc(region, &space, 0x2000, 50, id, 9, false);
	assert_int_equal(context_at(1).allocs, 2);
	assert_int_equal(context_at(1).allocated_bytes, 150);
	assert_int_equal(context_at(1).first_time, 7);
	assert_int_equal(context_at(1).last_time, 9);
	assert_int_equal(region_find(region, 0x2000)->size, 50);
	assert_null(region_find(region, 0x3000));
	assert_null(region_find(region, 0));
	region_alloc(region, &space, 0, 1, id, 9, false);
	assert_int_equal(region_totals(region)->allocs, 2);
	assert_int_equal(region_totals(region)->live_blocks, 2);
	assert_int_equal(region_memory(region), 5 * 65536);
	end();
}

static void test_stacks_are_interned(void **state)
{
	const frame_t a[] = {frame_of(1, 3), frame_of(1, 2), frame_of(1, 1)};
	uint32_t before, node;

	(void)state;
	begin(SPACE);
	assert_int_equal(region_context(region, &space, a, 3, WALK_ROOT), 1);
	before = region_node_count(region);
	assert_int_equal(region_context(region, &space, a, 3, WALK_ROOT), 1);
	assert_int_equal(region_context(region, &space, a + 1, 2, WALK_ROOT), 2);
	assert_int_equal(before, region_node_count(region)); /* the shorter one is a part of the longer */
	assert_int_equal(region_context(region, &space, a, 3, WALK_DEPTH), 3);
	assert_int_equal(region_context(region, &space, NULL, 0, WALK_UNREADABLE), 4);
	node = context_at(1).node;
	for (int i = 0; i < 3; i++, node = region_node(region, node)->parent)
		assert_int_equal(region_node(region, node)->frame, a[i]);
	assert_int_equal(node, WALK_ROOT);
	end();
}

static void test_replace_and_lost(void **state)
{
	const frame_t inner[] = {frame_of(1, 2), frame_of(1, 1)}, outer[] = {frame_of(1, 1)};
	uint32_t in, out;

	(void)state;
	begin(SPACE);
	in = region_context(region, &space, inner, 2, WALK_ROOT);
	out = region_context(region, &space, outer, 1, WALK_ROOT);
	region_alloc(region, &space, 0x1000, 64, in, 1, false);
	region_alloc(region, &space, 0x1000, 60, out, 2, true);
	assert_int_equal(context_at(in).allocs, 0);
	assert_int_equal(context_at(in).allocated_bytes, 0);
	assert_int_equal(context_at(in).peak_bytes, 0);
	assert_int_equal(context_at(in).last_time, 0);
	assert_int_equal(context_at(out).allocated_bytes, 60);
	assert_int_equal(region_totals(region)->allocs, 1);
	assert_int_equal(region_totals(region)->frees, 0);
	assert_int_equal(region_totals(region)->lost_events, 0);
	region_alloc(region, &space, 0x1000, 10, in, 3, false);
	assert_int_equal(region_totals(region)->lost_events, 1);
	assert_int_equal(context_at(out).frees, 1);
	assert_int_equal(context_at(out).freed_bytes, 60);
	assert_int_equal(region_totals(region)->live_blocks, 1);
	region_lost(region);
	assert_int_equal(region_totals(region)->lost_events, 2);
	end();
}

static void test_clear(void **state)
{
	const frame_t stack[] = {frame_of(1, 1)};
	struct region_block taken, again;
	uint32_t id;

	(void)state;
	begin(SPACE);
	id = region_context(region, &space, stack, 1, WALK_ROOT);
	for (uint64_t i = 1; i <= 10000; i++)
		region_alloc(region, &space, i * 16, 8, id, 1, false);
	assert_true(region_memory(region) > 5 * 65536);
	assert_true(region_take(region, 16, &taken));
	assert_true(region_take(region, 32, &again));
	region_clear(region, &space);
	assert_int_equal(region_memory(region), 5 * 65536);
	assert_int_equal(region_totals(region)->live_blocks, 0);
	assert_int_equal(region_totals(region)->allocs, 0);
	assert_int_equal(context_at(id).allocs, 0);
	assert_int_equal(context_at(id).peak_bytes, 0);
	assert_int_equal(region_context(region, &space, stack, 1, WALK_ROOT), id);
	for (uint64_t i = 3; i <= 10000; i++)
		assert_null(region_find(region, i * 16));
	/* What was taken before is not counted below zero, and does not come back. */
	region_free(region, &taken);
	region_put_back(region, &space, &again);
	assert_int_equal(region_totals(region)->frees, 0);
	assert_int_equal(region_totals(region)->frees_of_unknown, 1);
	assert_null(region_find(region, 32));
	region_alloc(region, &space, 0x100, 8, id, 2, false);
	assert_int_equal(region_totals(region)->live_blocks, 1);
	assert_int_equal(context_at(id).first_time, 2);
	end();
}

/* ---- the model ------------------------------------------------------------- */

enum { ADDRESSES = 30000, STACKS = 700, STEPS = sizeof(void *) > 4 ? 1000000 : 250000 };

static struct {
	struct region_block blocks[ADDRESSES]; /* at 16 * (i + 1); addr 0: not live */
	uint64_t live;
	frame_t stacks[STACKS][12];
	size_t depths[STACKS];
	enum walk_end ends[STACKS];
	uint32_t ids[STACKS]; /* 0: not seen yet */
	uint32_t next_id;
	struct region_context contexts[STACKS + 1];
	struct region_totals totals;
} model;

/* Stacks from few frames, so that they share many, and some are equal. */
static void model_begin(void)
{
	memset(&model, 0, sizeof(model));
	model.next_id = 1;
	for (int i = 0; i < STACKS; i++) {
		model.depths[i] = below(12);
		model.ends[i] = below(2) ? WALK_ROOT : WALK_DEPTH;
		for (size_t k = 0; k < model.depths[i]; k++)
			model.stacks[i][k] = frame_of(1 + below(2), 0x1000 + 16 * below(3));
	}
}

static uint32_t model_context(int which)
{
	if (model.ids[which])
		return model.ids[which];
	for (int i = 0; i < STACKS; i++)
		if (model.ids[i] && model.depths[i] == model.depths[which] &&
		    model.ends[i] == model.ends[which] &&
		    !memcmp(model.stacks[i], model.stacks[which],
			    model.depths[i] * sizeof(frame_t)))
			return model.ids[which] = model.ids[i];
	return model.ids[which] = model.next_id++;
}

static void model_peaks(struct region_context *c)
{
	uint64_t total = model.totals.allocated_bytes - model.totals.freed_bytes;
	uint64_t own = c->allocated_bytes - c->freed_bytes;

	if (model.totals.peak_bytes < total)
		model.totals.peak_bytes = total;
	if (c->peak_bytes < own)
		c->peak_bytes = own;
}

static void model_free(const struct region_block *b)
{
	model.totals.frees++;
	model.totals.freed_bytes += b->size;
	model.contexts[b->context].frees++;
	model.contexts[b->context].freed_bytes += b->size;
}

static void model_alloc(struct region_block *b, uint64_t addr, uint64_t size, uint32_t id,
			uint32_t now, bool replace)
{
	struct region_context *c = &model.contexts[id];

	if (b->addr && replace) {
		struct region_context *inner = &model.contexts[b->context];
		model.totals.allocs--;
		model.totals.allocated_bytes -= b->size;
		inner->allocated_bytes -= b->size;
		if (--inner->allocs == 0)
			inner->peak_bytes = inner->first_time = inner->last_time = 0;
	} else if (b->addr) {
		model.totals.lost_events++;
		model_free(b);
	} else {
		model.live++;
	}
	*b = (struct region_block){.addr = addr, .size = size, .context = id, .time = now};
	model.totals.allocs++;
	model.totals.allocated_bytes += size;
	c->first_time = c->allocs ? c->first_time : now;
	c->last_time = now;
	c->allocs++;
	c->allocated_bytes += size;
	model_peaks(c);
}

static void visit_block(void *arg, const struct region_block *block)
{
	uint64_t *seen = arg;

	assert_memory_equal(block, &model.blocks[block->addr / 16 - 1], sizeof(*block));
	++*seen;
}

static void model_compare(void)
{
	struct region_totals expected = model.totals;
	uint64_t seen = 0;

	expected.live_blocks = model.live;
	assert_memory_equal(region_totals(region), &expected, sizeof(expected));
	assert_int_equal(context_count(), model.next_id);
	for (uint32_t id = 1; id < model.next_id; id++) {
		struct region_context c = context_at(id);
		model.contexts[id].node = c.node;
		assert_int_equal(c.sequence % 2, 0);
		c.sequence = 0;
		assert_memory_equal(&c, &model.contexts[id], sizeof(c));
	}
	region_for_each_block(region, visit_block, &seen);
	assert_int_equal(seen, model.live);
	for (int i = 0; i < ADDRESSES; i++)
		assert_int_equal(region_find(region, 16 * (i + 1)) != NULL,
				 model.blocks[i].addr != 0);
}

static void step_alloc(int at, uint32_t now)
{
	struct region_block *b = &model.blocks[at];
	int which = (int)below(STACKS);
	uint64_t size = below(5000);
	bool replace = b->addr && below(2);
	uint32_t id = model_context(which);

	assert_int_equal(region_context(region, &space, model.stacks[which],
					model.depths[which], model.ends[which]),
			 id);
	region_alloc(region, &space, 16 * (uint64_t)(at + 1), size, id, now, replace);
	model_alloc(b, 16 * (uint64_t)(at + 1), size, id, now, replace);
}

static void step_free(int at)
{
	struct region_block *b = &model.blocks[at], taken;
	bool there = region_take(region, 16 * (uint64_t)(at + 1), &taken);

	assert_int_equal(there, b->addr != 0);
	if (!there) {
		region_free_unknown(region);
		model.totals.frees_of_unknown++;
		return;
	}
	assert_memory_equal(&taken, b, sizeof(taken));
	if (below(10) == 0) {
		region_put_back(region, &space, &taken);
		return;
	}
	region_free(region, &taken);
	model_free(b);
	b->addr = 0;
	model.live--;
}

static void step_clear(void)
{
	region_clear(region, &space);
	memset(&model.totals, 0, sizeof(model.totals));
	memset(model.contexts, 0, sizeof(model.contexts));
	memset(model.blocks, 0, sizeof(model.blocks));
	model.live = 0;
}

static void test_model(void **state)
{
	unsigned bias = 2;

	(void)state;
	seed = 1;
	model_begin();
	begin(SPACE);
	for (uint32_t i = 0; i < STEPS; i++) {
		if (i % 100000 == 0)
			bias = 2 + below(6); /* now it fills, now it empties */
		if (below(8) < bias)
			step_alloc((int)below(ADDRESSES), i);
		else
			step_free((int)below(ADDRESSES));
		if (below(300000) == 0)
			step_clear();
		if (i % 20000 == 0)
			model_compare();
	}
	model_compare();
	assert_true(model.next_id > 300);
	end();
}

enum { MOVING = 4000 };

/* Blocks come and go in every moment of the moving from one table to the next. */
static void test_moving(void **state)
{
	static uint64_t live[MOVING];
	const frame_t stack[] = {frame_of(1, 1)};
	struct region_block block;

	(void)state;
	seed = 3;
	for (uint64_t stride = 16; stride <= 16 << 15; stride *= 2) {
		uint64_t first = (next_random() >> 16) << 4;
		unsigned count = 0;
		uint32_t id;

		begin(SPACE);
		id = region_context(region, &space, stack, 1, WALK_ROOT);
		for (uint64_t i = 0; count < MOVING; i++) {
			uint64_t addr = first + stride * i;

			live[count++] = addr;
			region_alloc(region, &space, addr, i, id, 1, false);
			/* Around the doublings, which are at 1536 and 3072 blocks. */
			if (count > 99 && count % 1536 < 60 && below(3)) {
				unsigned which = below(count);

				assert_true(region_take(region, live[which], &block));
				region_free(region, &block);
				assert_null(region_find(region, live[which]));
				live[which] = live[--count];
				for (unsigned k = 0; k < count; k += 7)
					assert_non_null(region_find(region, live[k]));
			}
			assert_int_equal(region_totals(region)->live_blocks, count);
		}
		for (unsigned k = 0; k < count; k++) {
			assert_true(region_take(region, live[k], &block));
			assert_int_equal(block.addr, live[k]);
		}
		assert_int_equal(region_totals(region)->lost_events, 0);
		end();
	}
}

/* ---- limits ---------------------------------------------------------------- */

static void test_too_small(void **state)
{
	struct region_space tiny;
	struct region *none = NULL;

	(void)state;
	assert_int_equal(region_space_private(&tiny, 1u << 20), 0);
	assert_int_equal(tiny.limit, 1u << 20);
	tiny.limit = 4 * 65536;
	assert_true(region_init(&tiny, &none) < 0);
	tiny.limit = 100;
	assert_true(region_init(&tiny, &none) < 0);
	assert_null(none);
	tiny.limit = 1u << 20;
	region_space_deinit(&tiny);
}

static void test_blocks_overflow(void **state)
{
	const frame_t stack[] = {frame_of(1, 1)};
	const struct region_totals *totals;
	struct region_block block;
	uint32_t id;

	(void)state;
	begin(1u << 20); /* 16 granules */
	id = region_context(region, &space, stack, 1, WALK_ROOT);
	for (uint64_t i = 1; i <= 100000; i++)
		region_alloc(region, &space, i * 16, 3, id, 1, false);
	totals = region_totals(region);
	/* 16384 slots (6 granules) fit beside the table before, 7/8 of them are used. */
	assert_int_equal(totals->live_blocks, 16384 / 8 * 7);
	assert_int_equal(totals->allocs, totals->live_blocks);
	assert_int_equal(totals->overflow_blocks, 100000 - totals->live_blocks);
	for (uint64_t i = 1; i <= totals->live_blocks; i++)
		assert_int_equal(region_find(region, i * 16)->addr, i * 16);
	/* Room again: what is freed can be used. */
	assert_true(region_take(region, 16, &block));
	region_free(region, &block);
	region_alloc(region, &space, 0x7fff0, 3, id, 1, false);
	assert_non_null(region_find(region, 0x7fff0));
	/* What is there can be replaced even when nothing more fits. */
	region_alloc(region, &space, 32, 5, id, 1, true);
	assert_int_equal(region_find(region, 32)->size, 5);
	end();
}

static void test_contexts_overflow(void **state)
{
	const struct region_totals *totals;
	uint64_t kept = 0;
	uint32_t id;

	(void)state;
	begin(1u << 20);
	for (uint32_t i = 1; i <= 50000; i++) {
		const frame_t stack[] = {frame_of(2, i), frame_of(1, 1)};
		id = region_context(region, &space, stack, 2, WALK_ROOT);
		kept += id != REGION_OVERFLOW_CONTEXT;
		region_alloc(region, &space, 16, 10, id, 1, false);
	}
	totals = region_totals(region);
	assert_int_equal(context_count(), kept + 1);
	assert_in_range(kept, 1000, 10000);
	assert_int_equal(context_at(0).allocs, 50000 - kept);
	assert_int_equal(totals->allocs, 50000);
	assert_int_equal(totals->overflow_blocks, 0);
	/* Known stacks are still known. */
	const frame_t first[] = {frame_of(2, 1), frame_of(1, 1)};
	assert_int_equal(region_context(region, &space, first, 2, WALK_ROOT), 1);
	end();
}

static int commits_left;

static int reluctant_commit(struct region_space *s, uint64_t offset, uint64_t len)
{
	(void)s;
	(void)offset;
	(void)len;
	return commits_left-- > 0 ? 0 : -12;
}

static void keep(struct region_space *s, uint64_t offset, uint64_t len)
{
	memset(s->base + offset, 0, len);
}

/* Memory is short for a while: growth is tried again, but not at every call. */
static void test_commit_fails_for_a_while(void **state)
{
	const frame_t stack[] = {frame_of(1, 1)};
	struct region_space own = {calloc(1, 8u << 20), 8u << 20, reluctant_commit, keep};
	struct region *r;
	uint32_t id;

	(void)state;
	commits_left = 5;
	assert_int_equal(region_init(&own, &r), 0);
	id = region_context(r, &own, stack, 1, WALK_ROOT);
	for (uint64_t i = 1; i <= 3000; i++)
		region_alloc(r, &own, i * 16, 1, id, 1, false);
	assert_int_equal(region_totals(r)->live_blocks, 2048 / 8 * 7);
	assert_int_equal(commits_left, -1); /* one failure, one attempt */
	commits_left = 1;
	for (uint64_t i = 3001; i <= 5700; i++)
		region_alloc(r, &own, i * 16, 1, id, 1, false);
	assert_int_equal(commits_left, 0);
	assert_in_range(region_totals(r)->live_blocks, 2048 / 8 * 7 + 1, 4096 / 4 * 3);
	free(own.base);
}

/* Every table moves many times; the range in use stays in proportion. */
static uint64_t highest;
static int (*real_commit)(struct region_space *, uint64_t, uint64_t);

static int watched_commit(struct region_space *s, uint64_t offset, uint64_t len)
{
	highest = offset + len > highest ? offset + len : highest;
	return real_commit(s, offset, len);
}

static void test_growth_reuses_space(void **state)
{
	(void)state;
	begin(SPACE);
	highest = 0;
	real_commit = space.commit;
	space.commit = watched_commit;
	for (int round = 0; round < 20; round++) {
		for (uint32_t i = 1; i <= 60000; i++) {
			const frame_t stack[] = {frame_of(2, i), frame_of(1, (unsigned)round)};
			uint32_t id =
				region_context(region, &space, stack, round ? 1 : 2, WALK_ROOT);
			region_alloc(region, &space, i * 16ull, 1, id, 1, false);
		}
		region_clear(region, &space);
	}
	assert_int_equal(region_totals(region)->overflow_blocks, 0);
	assert_true(highest < 32u << 20);
	end();
}

/* Addresses at any stride: blocks stand near their homes. */
static void test_hash_spreads(void **state)
{
	static const uint64_t strides[] = {
		1, 8, 16, 24, 32, 48, 4096, 0x10000, (1 << 20) + 16, 1ull << 32, 10946 * 16};
	enum { SLOTS = 1 << 16, BLOCKS = SLOTS / 2 };
	static bool used[SLOTS];

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(strides); s++) {
		uint64_t moved = 0, farthest = 0;

		memset(used, 0, sizeof(used));
		for (uint64_t i = 0; i < BLOCKS; i++) {
			uint64_t slot = tables_hash(0x7f1234560010 + i * strides[s]) >> 48;
			uint64_t far = 0;

			for (; used[slot]; slot = (slot + 1) % SLOTS)
				far++;
			used[slot] = true;
			moved += far;
			farthest = far > farthest ? far : farthest;
		}
		assert_true(moved < BLOCKS * 7 / 10); /* 0.5 each, if all were chance */
		assert_true(farthest < 100);
	}
}

static double milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* CPUs that are tested in emulated machines, where a million takes minutes. */
#if !defined(__x86_64__)
enum { MANY = 1000000 / 8 };
#else
enum { MANY = 1000000 };
#endif

/* 1 M live blocks: memory per block at its worst, longest pause (printed on request). */
static void test_million_blocks(void **state)
{
	const frame_t stack[] = {frame_of(1, 1)};
	/* The clock is a system call, a slow one under an emulator. */
	const bool timed = getenv("REGION_FIGURES");
	double worst = 0, start = 0, total = milliseconds();
	uint64_t memory = 0, above = 0;
	uint32_t id;

	(void)state;
	begin(SPACE);
	id = region_context(region, &space, stack, 1, WALK_ROOT);
	for (uint64_t i = 1; i <= MANY; i++) {
		if (timed)
			start = milliseconds();
		region_alloc(region, &space, 0x555500000000 + i * 16, 24, id, 1, false);
		if (timed && milliseconds() - start > worst)
			worst = milliseconds() - start;
		memory = region_memory(region);
		if (i > 10000)
			assert_true(memory / i < 96 + 30);
		above += i > 100000 && memory > 64 * i + 8 * 65536;
	}
	/* Only while a table before is emptied beside the new one. */
	assert_true(memory <= 64 * MANY + 8 * 65536);
	assert_true(above < MANY / 20);
	if (timed)
		printf("1 M blocks: %.0f ms, longest pause %.2f ms, %.1f bytes per block\n",
		       milliseconds() - total, worst, (double)memory / MANY);
	for (uint64_t i = 1; i <= MANY; i += 997)
		assert_int_equal(region_find(region, 0x555500000000 + i * 16)->size, 24);
	end();
}

/* 1 M call stacks: each is found again all the while, and none waits for all others.
 * In a large range and in one that is nearly full. */
static void million_stacks(uint64_t limit)
{
	const bool timed = getenv("REGION_FIGURES");
	double worst = 0, start = 0, total = milliseconds();
	uint64_t memory;

	begin(limit);
	for (uint32_t i = 1; i <= MANY; i++) {
		const frame_t stack[] = {frame_of(2, i), frame_of(1, i % 1000)};
		uint32_t known = 1 + below(i);
		const frame_t again[] = {frame_of(2, known), frame_of(1, known % 1000)};

		if (timed)
			start = milliseconds();
		assert_int_equal(region_context(region, &space, stack, 2, WALK_ROOT), i);
		if (timed && milliseconds() - start > worst)
			worst = milliseconds() - start;
		assert_int_equal(region_context(region, &space, again, 2, WALK_ROOT), known);
	}
	memory = region_memory(region);
	if (timed)
		printf("1 M stacks in %llu GB: %.0f ms, longest pause %.2f ms, %.1f bytes "
		       "each\n",
		       (unsigned long long)(limit >> 30), milliseconds() - total, worst,
		       (double)memory / MANY);
	assert_int_equal(context_count(), MANY + 1);
	for (uint32_t i = 1; i <= MANY; i++) {
		const struct region_context c = context_at(i);
		const struct region_node *leaf = region_node(region, c.node);

		assert_int_equal(region_node_count(region), WALK_ENDS + MANY + 1000);
		assert_true(leaf->frame == frame_of(2, i));
		assert_true(region_node(region, leaf->parent)->frame == frame_of(1, i % 1000));
	}
	end();
}

static void test_million_stacks(void **state)
{
	(void)state;
	if (sizeof(void *) == 8)
		million_stacks(64ull << 30);
	million_stacks(SPACE);
}

/* Blocks of inner calls, against an array that says who is in. */
static void test_inner_model(void **state)
{
	static bool in[5000];

	(void)state;
	begin(SPACE);
	seed = 11;
	memset(in, 0, sizeof(in));
	for (int step = 0; step < 200000; step++) {
		unsigned i = below(ARRAY_SIZE(in));
		uint64_t addr = 0x7f0000000000 + 16 * (uint64_t)i;

		if (below(2)) {
			region_inner_add(region, &space, addr);
			in[i] = true;
		} else {
			assert_int_equal(region_inner_remove(region, addr), in[i]);
			in[i] = false;
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(in); i++)
		assert_int_equal(region_inner_remove(region, 0x7f0000000000 + 16 * (uint64_t)i),
				 in[i]);
	assert_int_equal(region->tables[REGION_INNER].count, 0);
	region_inner_add(region, &space, 16);
	region_inner_clear(region, &space);
	assert_false(region_inner_remove(region, 16));
	assert_false(region_inner_remove(region, 0));
	assert_int_equal(region_memory(region), 5 * 65536);
	assert_int_equal(region_totals(region)->overflow_blocks, 0);
	end();
}

/* One that can't be kept is said; those that are there stay. */
static void test_inner_overflow(void **state)
{
	(void)state;
	begin(1u << 20); /* 32768 slots fit beside the table before, 65536 do not */
	for (uint64_t i = 1; i <= 60000; i++)
		region_inner_add(region, &space, i * 16);
	assert_int_equal(region->tables[REGION_INNER].count, 32768 / 8 * 7);
	assert_int_equal(region_totals(region)->overflow_blocks, 60000 - 32768 / 8 * 7);
	assert_true(region_inner_remove(region, 16));
	region_inner_add(region, &space, 60000 * 16);
	assert_true(region_inner_remove(region, 60000 * 16));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_numbers),
		cmocka_unit_test(test_stacks_are_interned),
		cmocka_unit_test(test_replace_and_lost),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_moving),
		cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_blocks_overflow),
		cmocka_unit_test(test_contexts_overflow),
		cmocka_unit_test(test_commit_fails_for_a_while),
		cmocka_unit_test(test_growth_reuses_space),
		cmocka_unit_test(test_hash_spreads),
		cmocka_unit_test(test_inner_model),
		cmocka_unit_test(test_inner_overflow),
		cmocka_unit_test(test_million_blocks),
		cmocka_unit_test(test_million_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
