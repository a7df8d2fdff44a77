/* Rows that came over the wire, and where each holds. */
#include "unwind/row_table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct row sp16 = {16, -8, 0, ROW_CFA_SP, ROW_AT_CFA, ROW_SAME, 0};
static const struct row fp16 = {16, -8, -16, ROW_CFA_FP, ROW_AT_CFA, ROW_AT_CFA, 0};
static const struct row none = {.cfa = ROW_CFA_NONE};

static void test_ranges(void **state)
{
	struct row_table table = {0};
	(void)state;

	assert_null(row_table_find(&table, 5));
	row_table_add(&table, 0x100, &sp16);
	row_table_add(&table, 0x110, &fp16);
	row_table_add(&table, 0x120, &none);
	row_table_add(&table, 0x200, &sp16);
	assert_null(row_table_find(&table, 0xff));
	assert_memory_equal(row_table_find(&table, 0x100), &sp16, sizeof(sp16));
	assert_memory_equal(row_table_find(&table, 0x10f), &sp16, sizeof(sp16));
	assert_memory_equal(row_table_find(&table, 0x110), &fp16, sizeof(fp16));
	assert_null(row_table_find(&table, 0x120));
	assert_null(row_table_find(&table, 0x1ff));
	row_table_add(&table, 0x200, &fp16); /* the same place again: a further answer */
	assert_int_equal(table.rows.len, 4);
	row_table_add(&table, 0x210, &none);
	assert_memory_equal(row_table_find(&table, 0x200), &fp16, sizeof(fp16));
	assert_null(row_table_find(&table, UINT64_MAX));
	row_table_deinit(&table);
}

static void test_what_no_walk_knows(void **state)
{
	struct row bad[] = {sp16, sp16, sp16};
	struct row_table table = {0};
	(void)state;

	bad[0].cfa = ROW_CFA_ROOT + 1;
	bad[1].ra = ROW_UNDEFINED + 1;
	bad[2].fp = 255;
	for (uint64_t i = 0; i < ARRAY_SIZE(bad); i++) {
		row_table_add(&table, i, &bad[i]);
		assert_null(row_table_find(&table, i));
	}
	row_table_deinit(&table);
}

/* The server was lost on the way: how far the last row holds nobody has said. */
static void test_cut(void **state)
{
	struct row_table table = {0};
	(void)state;

	row_table_add(&table, 0x100, &sp16);
	row_table_add(&table, 0x110, &fp16);
	assert_memory_equal(row_table_find(&table, 0x10f), &sp16, sizeof(sp16));
	assert_null(row_table_find(&table, 0x110));
	assert_null(row_table_find(&table, UINT64_MAX));
	row_table_deinit(&table);
}

static void test_limit(void **state)
{
	struct row_table table = {0};
	(void)state;

	for (uint64_t i = 0; i < ROW_TABLE_MAX + 10; i++)
		row_table_add(&table, i, &sp16);
	assert_int_equal(table.rows.len, ROW_TABLE_MAX);
	assert_non_null(row_table_find(&table, ROW_TABLE_MAX - 2));
	assert_null(row_table_find(&table, ROW_TABLE_MAX + 5));
	row_table_deinit(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_what_no_walk_knows),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
