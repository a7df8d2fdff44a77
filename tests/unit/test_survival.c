/*
 * Verdicts on contexts of programs whose truth is known: simulated with a virtual clock, 100 times
 * each with other chance, over the generations and births that memtrace itself keeps.  How often
 * each word is right is the calibration, as ARCHITECTURE.md states it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "heap/births.h"
#include "heap/survival.h"
#include "heap/verdicts.h"

enum { SEEDS = 100, STEPS_PER_SECOND = 10, MAX_STEPS = 20000, MAX_BLOCKS = 1 << 18, WATCHED = 120 };

/* xorshift64*: the same numbers everywhere. */
static uint64_t random_state;

static double uniform(void) /* 0 to 1 */
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (double)((random_state * 2685821657736338717ull) >> 11) / 9007199254740992.0;
}

static bool one_in(double n)
{
	return uniform() * n < 1;
}

static unsigned below(unsigned n)
{
	return (unsigned)(uniform() * n);
}

/* ---- the process: one context ------------------------------------------------------------- */

struct block {
	uint32_t born, size;
	uint32_t next; /* of those that die in the same step */
	bool live;
};

static struct block blocks[MAX_BLOCKS];
static uint32_t block_count, dying[MAX_STEPS + 1];
static struct region_context contexts[2]; /* [1] is it */
static unsigned step, steps;

static uint32_t allocate(uint32_t size)
{
	assert_true(block_count + 1 < MAX_BLOCKS);
	blocks[++block_count] = (struct block){step * (100 / STEPS_PER_SECOND), size, 0, true};
	contexts[1].allocs++;
	contexts[1].allocated_bytes += size;
	return block_count;
}

static void release(uint32_t b)
{
	if (!b || !blocks[b].live)
		return;
	blocks[b].live = false;
	contexts[1].frees++;
	contexts[1].freed_bytes += blocks[b].size;
}

/* Allocated, to be freed after so many seconds. */
static void allocate_for(uint32_t size, double seconds)
{
	uint32_t b = allocate(size);
	double at = step + seconds * STEPS_PER_SECOND;

	if (at >= steps)
		return;
	blocks[b].next = dying[(unsigned)at + 1];
	dying[(unsigned)at + 1] = b;
}

/* So many calls whose blocks are freed at once. */
static void traffic(unsigned calls)
{
	contexts[1].allocs += calls;
	contexts[1].frees += calls;
	contexts[1].allocated_bytes += 64 * (uint64_t)calls;
	contexts[1].freed_bytes += 64 * (uint64_t)calls;
}

/* Seconds, as lifetimes of requests are. */
static double exponential(double mean)
{
	double sum = 0, term = 1, u = uniform() * 0.999;

	for (int i = 1; i < 60; i++) { /* -ln(1 - u) */
		term *= u;
		sum += term / i;
	}
	return sum * mean;
}

typedef void scenario_fn(void); /* what happens in a step */

static bool is_second(void)
{
	return step % STEPS_PER_SECOND == 0;
}

static struct verdict watch(scenario_fn *scenario, unsigned seconds, uint64_t seed)
{
	struct generations g = {.max_bytes = 1 << 20};
	struct birth_list births = {0};
	struct snapshot snapshot = {.contexts = contexts, .context_count = 2};
	const struct course none = {.max_bytes = COURSE_MIN_BYTES};
	struct verdicts *verdicts;
	struct births ages;
	struct verdict v;
	struct err err;

	random_state = seed * 7919 + 1;
	block_count = 0;
	memset(contexts, 0, sizeof(contexts));
	memset(dying, 0, sizeof(dying));
	steps = seconds * STEPS_PER_SECOND;
	for (step = 0; step < steps; step++) {
		uint32_t now = step * (100 / STEPS_PER_SECOND);

		if (step && generations_are_due(&g, now))
			generations_add(&g, contexts, 2, now - 1);
		for (uint32_t b = dying[step]; b; b = blocks[b].next)
			release(b);
		scenario();
	}
	for (uint32_t b = 1; b <= block_count; b++)
		if (blocks[b].live)
			assert_true(vec_push(&births, ((struct block_birth){1, blocks[b].born, blocks[b].born})));
	snapshot.ticks_now = seconds * 100;
	assert_int_equal(births_create(&g, &births, 2, &ages, &err), 0);
	assert_int_equal(verdicts_create(&snapshot, &g, &ages, &none, &verdicts, &err), 0);
	v = verdicts->at[1];
	verdicts_destroy(verdicts);
	generations_clear(&g, 0);
	vec_deinit(&births);
	return v;
}

/* ---- programs that leak --------------------------------------------------------------------- */

static void leak_of_10(void)
{
	for (int i = 0; i < 5; i++) {
		if (one_in(10))
			allocate(64);
		else
			allocate_for(64, exponential(2));
	}
}

static void leak_of_1000(void)
{
	traffic(2000 + below(500));
	for (int i = 0; i < 10; i++)
		allocate_for(64, exponential(3));
	for (int i = 0; i < 250; i++)
		if (one_in(1000))
			allocate(64);
}

static void leak_of_100000(void)
{
	traffic(20000 + below(5000));
	for (int i = 0; i < 40; i++)
		allocate_for(64, exponential(3));
	if (one_in(4.5)) /* of 22 500 calls */
		allocate(64);
}

static void leak_per_error(void) /* errors come in bursts */
{
	traffic(100);
	if (one_in(25))
		for (unsigned n = below(10); n; n--)
			allocate(48);
}

static void leak_of_all(void)
{
	if (one_in(3))
		allocate(100);
}

static void leak_under_load_that_doubles(void)
{
	unsigned n = step * 2 < steps ? 4 : 8;

	for (unsigned i = 0; i < n; i++) {
		if (one_in(12))
			allocate(64);
		else
			allocate_for(64, exponential(4));
	}
}

static void python_list_that_grows(void)
{
	static uint32_t array;
	static unsigned items, room;

	if (!step)
		array = items = room = 0;
	traffic(300);
	for (int i = 0; i < 3; i++) {
		allocate(56);
		if (++items > room) {
			room += room / 8 + 16;
			release(array);
			array = allocate(8 * room);
		}
	}
}

/* ---- programs that do not ------------------------------------------------------------------- */

static void requests(void)
{
	for (unsigned n = 10 + below(10); n; n--)
		allocate_for(64 + below(1000), exponential(1.5));
}

static uint32_t cache[4096];
static unsigned cached;

/* Of so many entries; who goes is the oldest, or anybody. */
static void cache_step(unsigned per_step, unsigned entries, bool oldest)
{
	if (!step)
		cached = 0;
	for (unsigned i = 0; i < per_step; i++, cached++) {
		unsigned at = cached < entries ? cached
			      : oldest	       ? cached % entries
					       : below(entries);

		if (cached >= entries)
			release(cache[at]);
		cache[at] = allocate(100 + below(200));
	}
}

static void cache_fifo(void) /* full at 40 % */
{
	cache_step(3, 3 * steps * 4 / 10, true);
}

static void cache_fifo_early(void) /* at a tenth */
{
	cache_step(3, 3 * steps / 10, true);
}

static void cache_any(void)
{
	cache_step(3, 3 * steps / 3, false);
}

static void swapped_out(void) /* "every hour": twice in the time watched and a bit */
{
	if (!step)
		cached = 0;
	if (step && step % (steps * 10 / 23) == 0)
		for (; cached; cached--)
			release(cache[cached - 1]);
	cache[cached++] = allocate(200);
}

static void pool_that_doubles(void)
{
	static unsigned size;

	if (!step)
		size = 8;
	if (step * 800 / steps >= size) {
		for (unsigned i = 0; i < size; i++)
			allocate(256);
		size *= 2;
	}
	traffic(20);
}

static void log_that_is_rotated(void)
{
	if (!step)
		cached = 0;
	if (cached == 700)
		for (; cached; cached--)
			release(cache[cached - 1]);
	for (int i = 0; i < 2; i++)
		cache[cached++] = allocate(120);
}

static void load(double factor)
{
	for (unsigned n = (unsigned)(factor * (8 + below(8))); n; n--)
		allocate_for(64, exponential(2));
}

static void load_that_doubles(void)
{
	load(step * 2 < steps ? 1 : 2);
}

static void load_that_halves(void)
{
	load(step * 2 < steps ? 2 : 1);
}

static void load_that_stops(void)
{
	load(step * 10 < steps * 7 ? 2 : 0);
}

static void load_that_rises(void)
{
	load(0.5 + 4.0 * step / steps);
}

static void start_up(void)
{
	if (step < 5)
		for (int i = 0; i < 300; i++)
			allocate(32);
	traffic(10);
}

static void python_list_that_does_not(void) /* a window of the last results, sorted out at times */
{
	if (!step)
		cached = 0;
	traffic(300);
	if (is_second() && cached > 300)
		for (; cached > 100; cached--)
			release(cache[cached - 1]);
	for (int i = 0; i < 3; i++)
		cache[cached++] = allocate(56);
}

static void fork_server(void) /* a table of children that live for a while */
{
	if (one_in(3))
		allocate_for(400, 2 + exponential(8));
	traffic(50);
}

static void sessions(void) /* long ones: half of the time watched */
{
	if (one_in(2))
		allocate_for(700, exponential(steps / STEPS_PER_SECOND / 4.0));
}

/* ---- what is said of them ------------------------------------------------------------------ */

static const struct program {
	const char *name;
	scenario_fn *fn;
	bool leaks;
} programs[] = {
	{"1 in 10 calls leaks", leak_of_10, true},
	{"1 in 1000", leak_of_1000, true},
	{"1 in 100 000", leak_of_100000, true},
	{"a leak per error", leak_per_error, true},
	{"every call leaks", leak_of_all, true},
	{"1 in 12, load doubles", leak_under_load_that_doubles, true},
	{"a list that grows", python_list_that_grows, true},
	{"requests", requests, false},
	{"cache, FIFO", cache_fifo, false},
	{"cache, full early", cache_fifo_early, false},
	{"cache, any goes", cache_any, false},
	{"cache, swapped out", swapped_out, false},
	{"pool that doubles", pool_that_doubles, false},
	{"log that is rotated", log_that_is_rotated, false},
	{"load doubles", load_that_doubles, false},
	{"load halves", load_that_halves, false},
	{"load stops", load_that_stops, false},
	{"load rises", load_that_rises, false},
	{"start-up tables", start_up, false},
	{"a list that does not grow", python_list_that_does_not, false},
	{"fork server", fork_server, false},
	{"long sessions", sessions, false},
};

static void words_of(const struct program *p, unsigned seconds, unsigned count[VERDICT_WORDS])
{
	memset(count, 0, VERDICT_WORDS * sizeof(*count));
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		count[watch(p->fn, seconds, seed).word]++;
	if (!getenv("CALIBRATE"))
		return;
	fprintf(stderr, "%-28s %5u s:", p->name, seconds);
	for (int w = 0; w < VERDICT_WORDS; w++)
		if (count[w])
			fprintf(stderr, "  %s %u", verdict_name((enum verdict_word)w), count[w]);
	fputc('\n', stderr);
}

/* Found: it is said to leak, or, by chance of few blocks, to grow. */
static void leaks_are_found(void **state)
{
	unsigned count[VERDICT_WORDS], leaks = 0, programs_that_leak = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (!programs[i].leaks)
			continue;
		words_of(&programs[i], WATCHED, count);
		assert_int_equal(count[VERDICT_LEAKS] + count[VERDICT_GROWS], SEEDS);
		assert_in_range(count[VERDICT_LEAKS], 80, SEEDS);
		leaks += count[VERDICT_LEAKS];
		programs_that_leak++;
	}
	assert_in_range(leaks, programs_that_leak * 97, programs_that_leak * SEEDS);
}

static void nothing_else_is_called_a_leak(void **state)
{
	unsigned count[VERDICT_WORDS];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (programs[i].leaks)
			continue;
		words_of(&programs[i], WATCHED, count);
		if (programs[i].fn == sessions) /* that last as long as it is watched */
			assert_in_range(count[VERDICT_LEAKS], 0, 10);
		else
			assert_int_equal(count[VERDICT_LEAKS], 0);
	}
}

static unsigned of(scenario_fn *fn, enum verdict_word word)
{
	unsigned count[VERDICT_WORDS];

	words_of(&(struct program){"", fn, false}, WATCHED, count);
	return count[word];
}

static void the_other_words(void **state)
{
	(void)state;
	assert_int_equal(of(cache_fifo, VERDICT_CACHE), SEEDS);
	assert_int_equal(of(cache_any, VERDICT_CACHE), SEEDS);
	assert_int_equal(of(start_up, VERDICT_STEADY), SEEDS);
	assert_int_equal(of(load_that_stops, VERDICT_STEADY), SEEDS);
	assert_in_range(of(load_that_doubles, VERDICT_LEVELLING_OFF), 90, SEEDS);
	assert_int_equal(of(load_that_rises, VERDICT_GROWS), SEEDS);
}

static void a_few_blocks(void)
{
	if (is_second() && step > 10 && one_in(8))
		allocate(8);
}

static void leak_that_stopped(void) /* a while ago */
{
	traffic(50);
	if (step * 10 < steps * 7 && one_in(2))
		allocate(64);
}

static void evidence(void **state)
{
	struct verdict v = watch(leak_of_all, WATCHED, 1);

	(void)state;
	assert_int_equal(v.word, VERDICT_LEAKS);
	assert_true(v.seconds > 119 && v.seconds <= 120);
	assert_int_equal(v.kept, v.generations);
	assert_in_range(v.generations, 20, 30);
	assert_int_equal(v.alive, v.born); /* none of which was freed */
	assert_true(v.lowest < 1.2e6 && 1.2e6 < v.highest); /* 100 bytes, 10/3 a second */
	assert_true(v.lowest < v.per_hour && v.per_hour < v.highest);

	v = watch(leak_of_10, WATCHED, 1);
	assert_true(v.alive * 8 < v.born && v.born < v.alive * 12);

	/* 1 in 12, whatever is young beside it: 8 % */
	v = watch(leak_under_load_that_doubles, WATCHED, 1);
	assert_in_range(v.alive * 1000 / v.born, 72, 95);

	v = watch(cache_fifo, WATCHED, 1); /* whose blocks live for 48 s */
	assert_true(v.age > 44 && v.age < 56);

	v = watch(leak_of_all, 8, 1); /* 7 whole seconds */
	assert_int_equal(v.word, VERDICT_TOO_EARLY);
	assert_int_equal(v.generations, 7);
	assert_int_not_equal(watch(leak_of_all, 10, 1).word, VERDICT_TOO_EARLY);
	assert_int_equal(watch(start_up, 10, 1).word, VERDICT_STEADY);
	assert_int_not_equal(watch(a_few_blocks, WATCHED, 1).word, VERDICT_LEAKS);
	assert_int_not_equal(watch(leak_that_stopped, WATCHED, 1).word, VERDICT_LEAKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaks_are_found),
		cmocka_unit_test(nothing_else_is_called_a_leak),
		cmocka_unit_test(the_other_words),
		cmocka_unit_test(evidence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
