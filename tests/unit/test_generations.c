/* Generations: bounded, and exact whatever was merged; the ages of blocks by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "heap/births.h"

enum { CONTEXTS = 300, SECOND = 100 };

static struct generations g;
static struct region_context contexts[CONTEXTS];

static int setup(void **state)
{
	(void)state;
	g = (struct generations){.max_bytes = 1 << 20};
	generations_clear(&g, 50);
	memset(contexts, 0, sizeof(contexts));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	generations_clear(&g, 0);
	return 0;
}

/* In second i each 7th context, from i on, allocates i + 1 blocks of 300, and frees one. */
static void second(uint32_t i)
{
	uint32_t now = 50 + (i + 1) * SECOND;

	for (uint32_t id = i % 7; id < CONTEXTS; id += 7) {
		contexts[id].allocs += i + 1;
		contexts[id].frees++;
		contexts[id].allocated_bytes += 300 * (i + 1);
		contexts[id].freed_bytes += 300;
	}
	if (generations_are_due(&g, now))
		generations_add(&g, contexts, CONTEXTS, now);
}

static void each_second_while_there_is_room(void **state)
{
	struct mark_counters c[GENERATIONS_MAX];
	struct generations_walk walk;

	(void)state;
	for (uint32_t i = 0; i < GENERATIONS_MAX; i++)
		second(i);
	assert_int_equal(g.count, GENERATIONS_MAX);
	generations_walk_begin(&walk, &g);
	for (uint32_t id = 0; id < CONTEXTS; id += 3) { /* (some are passed over) */
		generations_walk_to(&walk, id, c);
		for (uint32_t i = 0; i < GENERATIONS_MAX; i++) {
			bool did = i % 7 == id % 7;

			assert_int_equal(g.at[i].end, 50 + (i + 1) * SECOND);
			assert_int_equal(c[i].allocs, did ? i + 1 : 0);
			assert_int_equal(c[i].frees, did);
			assert_int_equal(c[i].allocated_bytes, did ? 300 * (i + 1) : 0);
			assert_int_equal(c[i].freed_bytes, did ? 300 : 0);
		}
	}
}

/* Of every context the generations have what its counters have. */
static void check_sums(void)
{
	struct mark_counters c[GENERATIONS_MAX];
	struct generations_walk walk;

	generations_walk_begin(&walk, &g);
	for (uint32_t id = 0; id < CONTEXTS; id++) {
		struct mark_counters sum = {0};

		generations_walk_to(&walk, id, c);
		for (size_t i = 0; i < g.count; i++) {
			sum.allocs += c[i].allocs;
			sum.freed_bytes += c[i].freed_bytes;
		}
		assert_int_equal(sum.allocs, g.last[id].allocs);
		assert_int_equal(sum.freed_bytes, g.last[id].freed_bytes);
	}
}

static void merged_by_pairs(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < GENERATIONS_MAX + 1; i++)
		second(i);
	assert_int_equal(g.count, GENERATIONS_MAX / 2 + 1);
	assert_int_equal(g.at[0].end, 50 + 2 * SECOND);
	assert_int_equal(g.at[GENERATIONS_MAX / 2 - 1].end, 50 + GENERATIONS_MAX * SECOND);
	assert_int_equal(g.ticks, 2 * SECOND);
	check_sums();
	for (uint32_t i = GENERATIONS_MAX + 1; i < 5000; i++)
		second(i);
	assert_in_range(g.count, GENERATIONS_MAX / 2, GENERATIONS_MAX);
	assert_int_equal(g.ticks, 256 * SECOND);
	check_sums();
}

static void bounded(void **state)
{
	size_t bytes = 0;

	(void)state;
	g.max_bytes = 16000; /* (of 300 contexts: some 10 bytes each, in 16 generations 48 000) */
	for (uint32_t i = 0; i < 300; i++)
		second(i);
	for (size_t i = 0; i < g.count; i++)
		bytes += g.at[i].len;
	assert_in_range(g.count, GENERATIONS_MIN, 2 * GENERATIONS_MIN);
	assert_true(bytes <= g.max_bytes || g.count < 2 * GENERATIONS_MIN);
	check_sums();
}

static void counting_began_anew(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 9; i++)
		second(i);
	assert_int_equal(g.count, 9);
	memset(contexts, 0, sizeof(contexts));
	second(9);
	assert_int_equal(g.count, 0);
	assert_int_equal(g.begin, 50 + 10 * SECOND);
	second(10);
	assert_int_equal(g.count, 1);
	check_sums();
}

static void an_allocation_that_is_taken_back(void **state)
{
	struct mark_counters c[GENERATIONS_MAX];
	struct generations_walk walk;

	(void)state;
	contexts[3].allocs = 5;
	contexts[3].allocated_bytes = 50;
	generations_add(&g, contexts, CONTEXTS, 150);
	contexts[3].allocs = 4;
	contexts[3].allocated_bytes = 40;
	generations_add(&g, contexts, CONTEXTS, 250);
	assert_int_equal(g.count, 2);
	generations_walk_begin(&walk, &g);
	generations_walk_to(&walk, 3, c);
	assert_int_equal(c[0].allocs, 5);
	assert_int_equal(c[1].allocs, 0);
}

static void what_comes_from_a_file(void **state)
{
	static const uint8_t good[] = {2, 1, 0, 0x80, 1, 0, 1, 2, 3, 4, 5}; /* ids 1 and 2 */
	static const uint8_t large[] = {1,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					0xff, 0xff, 2,	  0,	0,    0};
	uint8_t none[] = {0, 1, 1, 1, 1};

	(void)state;
	assert_true(generations_are_valid(good, sizeof(good), 3));
	assert_true(generations_are_valid(good, 0, 3));
	assert_false(generations_are_valid(good, sizeof(good), 2)); /* there is no 2 */
	for (size_t len = 1; len < sizeof(good); len++)
		assert_int_equal(generations_are_valid(good, len, 3), len == 6);
	assert_false(generations_are_valid(none, sizeof(none), 3)); /* no id twice */
	assert_false(generations_are_valid(large, sizeof(large), 3)); /* 65 bits */
}

static void ages(void **state)
{
	struct birth_list list = {0};
	struct births births;
	struct err err;
	/* ends: 150, 250, 350; a block at an end is of the generation that ends there */
	static const struct block_birth at[] = {
		{7, 51, 51},   {7, 150, 150}, {7, 151, 151}, {9, 350, 350},
		{9, 351, 351}, {9, 999, 999}, {7, 160, 340}, {400, 60, 60}};

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		second(i);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		assert_true(vec_push(&list, at[i]));
	assert_int_equal(births_create(&g, &list, CONTEXTS, &births, &err), 0);
	assert_int_equal(births_of(&births, 7)[0], 2);
	assert_int_equal(births_of(&births, 7)[1], 2);
	assert_int_equal(births_of(&births, 7)[2], 0);
	assert_int_equal(births_of(&births, 9)[2], 1);
	assert_int_equal(births_of(&births, 9)[3], 2); /* which has not ended */
	assert_int_equal(births_of(&births, 8)[0], 0);
	assert_int_equal(births_of(&births, 400)[0], 0); /* nobody's */
	births_deinit(&births);
	vec_deinit(&list);
}

/* Whom the span has for sure, and whom its first or last tick leaves open, or that nobody knows better when they came. */
static void of_a_span_of_time(void **state)
{
	struct block_birth blocks[] = {{7, 10, 10}, {7, 20, 20}, {7, 21, 21}, {7, 30, 30},
					{9, 31, 31}, {5, 21, 29}, {5, 12, 22}, {5, 5, 40},
					{400, 25, 25}};
	const struct birth_list list = {blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks)};
	static const struct {
		int64_t from, to;
		uint32_t sure7, unsure7, sure9, sure5, unsure5;
	} cases[] = {
		{20, 30, 1, 2, 0, 1, 2},
		{BIRTHS_EVER, 25, 3, 0, 0, 1, 2},
		{20, BIRTHS_EVER, 2, 1, 1, 1, 2},
		{BIRTHS_EVER, BIRTHS_EVER, 4, 0, 1, 3, 0},
		{INT64_MAX, -5, 0, 0, 0, 0, 0},
		{22, 40, 1, 0, 1, 0, 3},
		{40, 50, 0, 0, 0, 0, 1},
	};
	struct births_span *spans;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(births_in_span(&list, cases[i].from, cases[i].to, CONTEXTS,
						&spans, &err),
				 0);
		assert_int_equal(spans[7].sure, cases[i].sure7);
		assert_int_equal(spans[7].unsure, cases[i].unsure7);
		assert_int_equal(spans[7].all, 4);
		assert_int_equal(spans[9].sure, cases[i].sure9);
		assert_int_equal(spans[5].sure, cases[i].sure5);
		assert_int_equal(spans[5].unsure, cases[i].unsure5);
		free(spans);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_span_of_time),
		cmocka_unit_test_setup_teardown(each_second_while_there_is_room, setup,
						teardown),
		cmocka_unit_test_setup_teardown(merged_by_pairs, setup, teardown),
		cmocka_unit_test_setup_teardown(bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(counting_began_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(an_allocation_that_is_taken_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_comes_from_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(ages, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
