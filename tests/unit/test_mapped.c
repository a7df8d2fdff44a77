/* The list of mappings: each rule by itself, and many calls against a map of single pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "elf/maps.h"
#include "heap/mapped.h"

static struct mapped mapped;

static int teardown(void **state)
{
	(void)state;
	mapped_deinit(&mapped);
	memset(&mapped, 0, sizeof(mapped));
	return 0;
}

static void add(taddr_t begin, taddr_t end, uint32_t context)
{
	const struct mapped_range range = {begin, end, context, 7};

	mapped_add(&mapped, &range);
}

/* "begin-end:context ...", the highest first. */
static void expect(const char *text)
{
	char found[512] = "";
	size_t len = 0;

	for (size_t i = 0; i < mapped.list.len; i++)
		len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%x-%x:%u", i ? " " : "",
					(unsigned)mapped.list.at[i].begin,
					(unsigned)mapped.list.at[i].end,
					mapped.list.at[i].context);
	assert_string_equal(found, text);
	assert_int_equal(mapped.lost, 0);
}

static void test_removed_in_parts(void **state)
{
	(void)state;
	add(0x10, 0x20, 1);
	add(0x30, 0x40, 2);
	add(0x20, 0x30, 3);
	expect("30-40:2 20-30:3 10-20:1");
	mapped_remove(&mapped, 0x14, 0x18);
	expect("30-40:2 20-30:3 18-20:1 10-14:1");
	mapped_remove(&mapped, 0x1c, 0x34);
	expect("34-40:2 18-1c:1 10-14:1");
	mapped_remove(&mapped, 0x20, 0x20);
	mapped_remove(&mapped, 0x14, 0x18);
	expect("34-40:2 18-1c:1 10-14:1");
	mapped_remove(&mapped, 0, UINT64_MAX);
	expect("");
}

static void test_replaced(void **state)
{
	(void)state;
	add(0x10, 0x20, 1);
	add(0x14, 0x18, 2);
	expect("18-20:1 14-18:2 10-14:1");
	add(0x10, 0x20, 3);
	expect("10-20:3");
}

static void test_extended(void **state)
{
	struct mapped_range range = {0x20, 0x28, 1, 9};

	(void)state;
	add(0x10, 0x20, 1);
	mapped_extend(&mapped, &range);
	expect("10-28:1");
	range = (struct mapped_range){0x28, 0x30, 2, 9};
	mapped_extend(&mapped, &range);
	expect("28-30:2 10-28:1");
}

/* A call that fails leaves all as it was, pieces too. */
static void test_put_back(void **state)
{
	(void)state;
	add(0x10, 0x20, 1);
	add(0x20, 0x30, 1);
	mapped_take(&mapped, 5, 100, false, 0x14, 0x18);
	expect("20-30:1 18-20:1 10-14:1");
	mapped_settle(&mapped, 5, 100, true);
	expect("20-30:1 10-20:1");
	mapped_take(&mapped, 5, 100, false, 0x18, 0x28);
	expect("28-30:1 10-18:1");
	mapped_take(&mapped, 6, 100, false, 0x10, 0x18);
	mapped_settle(&mapped, 6, 100, true);
	mapped_settle(&mapped, 5, 100, true);
	expect("20-30:1 10-20:1");
	mapped_take(&mapped, 5, 100, false, 0x10, 0x20);
	mapped_settle(&mapped, 5, 100, false);
	expect("20-30:1");
}

/* Calls that do not return: what was unmapped is gone, what was to be moved is not. */
static void test_abandoned(void **state)
{
	(void)state;
	add(0x10, 0x20, 1);
	add(0x20, 0x30, 2);
	mapped_take(&mapped, 5, 200, false, 0x10, 0x20);
	mapped_take(&mapped, 5, 100, true, 0x20, 0x30);
	expect("");
	mapped_settle(&mapped, 5, 200, true); /* the one at 100 was left by a longjmp */
	expect("20-30:2 10-20:1");
	mapped_take(&mapped, 5, 200, false, 0x10, 0x20);
	mapped_take(&mapped, 5, 100, true, 0x20, 0x30);
	mapped_abandon(&mapped, 6);
	expect("");
	mapped_abandon(&mapped, 5);
	expect("20-30:2");
}

static void test_reconciled(void **state)
{
	struct mapping at[] = {{.begin = 0x18, .end = 0x24}, {.begin = 0x24, .end = 0x28}};
	struct maps maps = {.list = {at, 2, 2}};

	(void)state;
	add(0x10, 0x20, 1);
	add(0x20, 0x40, 2);
	add(0x50, 0x60, 2);
	mapped_reconcile(&mapped, &maps);
	expect("20-28:2 18-20:1");
}

static void test_sums(void **state)
{
	struct mapped_sum *sums;
	size_t count;

	(void)state;
	add(0x10, 0x20, 1);
	add(0x30, 0x38, 2);
	add(0x40, 0x4c, 2);
	add(0x50, 0x60, 3);
	assert_true(mapped_sums(mapped.list.at, mapped.list.len, &sums, &count));
	assert_int_equal(count, 3);
	assert_int_equal(sums[0].context, 2);
	assert_int_equal(sums[0].mappings, 2);
	assert_int_equal(sums[0].bytes, 0x14);
	assert_int_equal(sums[1].context, 1);
	assert_int_equal(sums[2].context, 3);
	free(sums);
}

enum { PAGES = 200, CALLS = 20000 };

static uint32_t owners[PAGES];

static void compare(void)
{
	uint32_t found[PAGES] = {0};
	taddr_t above = PAGES;

	for (size_t i = 0; i < mapped.list.len; i++) {
		const struct mapped_range *range = &mapped.list.at[i];

		assert_true(range->begin < range->end && range->end <= above);
		above = range->begin;
		for (taddr_t page = range->begin; page < range->end; page++)
			found[page] = range->context;
	}
	assert_memory_equal(found, owners, sizeof(owners));
}

static void own(taddr_t begin, taddr_t end, uint32_t context)
{
	for (taddr_t page = begin; page < end; page++)
		owners[page] = context;
}

static void test_at_random(void **state)
{
	unsigned seed = 4711;

	(void)state;
	memset(owners, 0, sizeof(owners));
	for (int i = 0; i < CALLS; i++) {
		taddr_t begin = (taddr_t)rand_r(&seed) % PAGES;
		taddr_t end = begin + (taddr_t)rand_r(&seed) % 20 + 1;
		uint32_t context = (uint32_t)rand_r(&seed) % 3 + 1;

		end = end < PAGES ? end : PAGES;
		switch (rand_r(&seed) % 4) {
		case 0:
			add(begin, end, context);
			own(begin, end, context);
			break;
		case 1:
			mapped_remove(&mapped, begin, end);
			own(begin, end, 0);
			break;
		case 2:
			mapped_take(&mapped, 1, 8, context == 1, begin, end);
			mapped_settle(&mapped, 1, 8, true);
			break;
		case 3:
			mapped_take(&mapped, 1, 8, false, begin, end);
			own(begin, end, 0);
			mapped_settle(&mapped, 1, 8, false);
			break;
		}
		compare();
	}
	assert_int_equal(mapped.lost, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_removed_in_parts, teardown),
		cmocka_unit_test_teardown(test_replaced, teardown),
		cmocka_unit_test_teardown(test_extended, teardown),
		cmocka_unit_test_teardown(test_put_back, teardown),
		cmocka_unit_test_teardown(test_abandoned, teardown),
		cmocka_unit_test_teardown(test_reconciled, teardown),
		cmocka_unit_test_teardown(test_sums, teardown),
		cmocka_unit_test_teardown(test_at_random, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
