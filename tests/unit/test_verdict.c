/*
 * Verdicts of courses whose truth is known: each simulated 100 times, with other noise.  How
 * often each word is right is the calibration, as ARCHITECTURE.md states it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "heap/verdict.h"

enum { SEEDS = 100, MIB = 1 << 20 };

/* xorshift64*: the same numbers everywhere. */
static uint64_t random_state;

static double uniform(void) /* 0 to 1 */
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (double)((random_state * 2685821657736338717ull) >> 11) / 9007199254740992.0;
}

/* Bytes in use at second i of n. */
typedef double shape_fn(unsigned i, unsigned n);

static double constant(unsigned i, unsigned n)
{
	(void)i, (void)n;
	return 8.0 * MIB;
}

/* 1 KB a second beside noise of a megabyte. */
static double leak(unsigned i, unsigned n)
{
	(void)n;
	return 8.0 * MIB + 1024.0 * i;
}

static double start_up(unsigned i, unsigned n)
{
	return i * 50 < n ? 8.0 * MIB * i * 50 / n : 8.0 * MIB;
}

static double cache_that_fills(unsigned i, unsigned n)
{
	return 8.0 * MIB + (i * 2 < n ? 16.0 * MIB * i * 2 / n : 16.0 * MIB);
}

static double swapped_out(unsigned i, unsigned n)
{
	(void)n;
	return 8.0 * MIB + 4096.0 * (i % 97);
}

static double load_that_falls(unsigned i, unsigned n)
{
	return 8.0 * MIB * (n - i / 2) / n;
}

static double one_step(unsigned i, unsigned n)
{
	return i * 10 < n * 8 ? 8.0 * MIB : 24.0 * MIB;
}

/* A trend by its first and last values alone; its thirds have one median.  By sixteenths. */
static double up_at_the_ends(unsigned i, unsigned n)
{
	unsigned at = (i * 16 + n / 2) / n;

	return (at < 4 ? 1.0 : at < 15 ? 9.0 : at < 16 ? 10.0 : 11.0) * MIB;
}

/* The memory of n seconds, with as many bytes of noise at most, of which a part lasts. */
static struct verdict watch(shape_fn *shape, unsigned n, double noise, uint64_t seed)
{
	struct course course = {.max_bytes = 128 * sizeof(struct course_point)};
	struct verdict v;
	double wander = 0;

	random_state = seed * 7919 + 1;
	for (unsigned i = 0; i <= n; i++) {
		struct course_point p = {.ms = 1000 * (int64_t)i, .allocs = i, .frees = i};

		wander = 0.8 * wander + 0.2 * noise * (uniform() - 0.5);
		p.in_use = (uint64_t)(shape(i, n) + wander + noise * (uniform() - 0.5));
		course_add(&course, &p);
	}
	v = verdict_of_course(&course);
	course_clear(&course);
	return v;
}

static unsigned how_often(enum verdict_word word, shape_fn *shape, unsigned n, double noise)
{
	unsigned count = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		count += watch(shape, n, noise, seed).word == word;
	return count;
}

static void nothing_that_does_not_grow_is_called_so(void **state)
{
	(void)state;
	assert_in_range(how_often(VERDICT_GROWS, constant, 3600, MIB), 0, 1);
	assert_in_range(how_often(VERDICT_STEADY, constant, 3600, MIB), 98, SEEDS);
	assert_int_equal(how_often(VERDICT_STEADY, constant, 3600, 0), SEEDS);
	assert_int_equal(how_often(VERDICT_STEADY, up_at_the_ends, 3200, 0), SEEDS);
	assert_in_range(how_often(VERDICT_GROWS, start_up, 3600, MIB), 0, 1);
	assert_in_range(how_often(VERDICT_GROWS, swapped_out, 3600, MIB), 0, 1);
	assert_int_equal(how_often(VERDICT_GROWS, cache_that_fills, 3600, MIB), 0);
	assert_int_equal(how_often(VERDICT_STEADY, load_that_falls, 3600, MIB), SEEDS);
}

static void growth_is_found(void **state)
{
	struct verdict v;
	unsigned covered = 0;

	(void)state;
	assert_in_range(how_often(VERDICT_GROWS, leak, 3600, MIB), 98, SEEDS);
	assert_int_equal(how_often(VERDICT_GROWS, leak, 60, 0), SEEDS);
	v = watch(leak, 3600, 0, 1);
	assert_true(v.per_hour > 3686399 && v.per_hour < 3686401); /* 1 KB a second */
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		v = watch(leak, 3600, MIB, seed);
		covered += v.lowest <= 3686400 && 3686400 <= v.highest;
	}
	assert_in_range(covered, 90, 100); /* of 95 that there should be */
}

static void a_cache_levels_off(void **state)
{
	unsigned found = how_often(VERDICT_LEVELLING_OFF, cache_that_fills, 3600, MIB);

	(void)state;
	assert_in_range(found, 95, SEEDS); /* the others: steady */
	assert_int_equal(found + how_often(VERDICT_STEADY, cache_that_fills, 3600, MIB), SEEDS);
}

static void too_early(void **state)
{
	const struct course none = {.max_bytes = COURSE_MIN_BYTES};
	struct verdict v;

	(void)state;
	assert_int_equal(verdict_of_course(&none).word, VERDICT_TOO_EARLY);
	assert_int_equal(watch(leak, 59, 0, 1).word, VERDICT_TOO_EARLY);
	assert_int_equal(watch(leak, 60, 0, 1).word, VERDICT_GROWS);
	v = watch(one_step, 3600, 0, 1); /* of which nobody knows whether it was the last */
	assert_int_equal(v.word, VERDICT_TOO_EARLY);
	assert_int_equal(v.step, 16 * MIB);
	assert_true(v.seconds == 3600);
}

/* 100 minutes; what is resident rises by 100 KB in each, but for what is in use. */
static void memory_that_nobody_uses(void **state)
{
	struct course course = {.max_bytes = 128 * sizeof(struct course_point)};
	struct verdict v;

	(void)state;
	for (int step = 100; step <= 200; step += 100) {
		course_clear(&course);
		for (unsigned i = 0; i <= 100; i++)
			course_add(&course, &(struct course_point){
						    .ms = 60000 * (int64_t)i,
						    .in_use = 8 * MIB + (step == 200) * 4096 * i,
						    .resident = 20 * MIB + 1024 * 100 * i});
		v = verdict_of_course(&course);
		assert_int_equal(v.word, step == 200 ? VERDICT_GROWS : VERDICT_FRAGMENTATION);
	}
	course_clear(&course);
	for (unsigned i = 0; i <= 100; i++) /* too little to speak of */
		course_add(&course, &(struct course_point){.ms = 60000 * (int64_t)i,
							   .in_use = 8 * MIB,
							   .resident = 20 * MIB + 1024 * i});
	assert_int_equal(verdict_of_course(&course).word, VERDICT_STEADY);
	course_clear(&course);
}

static void words(void **state)
{
	(void)state;
	assert_string_equal(verdict_name(VERDICT_TOO_EARLY), "too early");
	assert_string_equal(verdict_name(VERDICT_STEADY), "steady");
	assert_string_equal(verdict_name(VERDICT_LEVELLING_OFF), "levelling off");
	assert_string_equal(verdict_name(VERDICT_GROWS), "grows");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_does_not_grow_is_called_so),
		cmocka_unit_test(growth_is_found),
		cmocka_unit_test(a_cache_levels_off),
		cmocka_unit_test(too_early),
		cmocka_unit_test(memory_that_nobody_uses),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
