/* Collapsed stacks, byte for byte: what is in use adds up, and no name breaks a line. */
#include "report_case.h"

static const struct report_options folded = {
	.format = REPORT_FOLDED, .count = 1, .depth = 3, .version = "0.1.0"};

/* All three of them, though -n says 1: 265 + 150 + 137 = 552 bytes in use. */
static void test_every_call_stack(void **state)
{
	(void)state;
	case_demo();
	case_snapshot();
	expect_report(&knowing, NULL, &folded,
		      "__libc_start_call_main;main;multimalloc;malloc 265\n"
		      "[stack cut: depth];__libc_start_call_main;main;"
		      "ns::List<int, std::less<int> >::insert(std::pair<int const, "
		      "std::vector<int> > const&, int);push;operator new(unsigned long);malloc "
		      "150\n"
		      "[stack cut: no-unwind-data];plug\"in.so+0x1234 (guessed);demo+0x5000;"
		      "malloc 137\n");
}

/* What has no blocks in use is no line, with --all either; what -n left out before is one. */
static void test_nothing_in_use_and_left_out(void **state)
{
	const frame_t stack[] = {MALLOC, MAIN};
	struct report_options options = folded;

	(void)state;
	case_stack(stack, 2, WALK_ROOT, 3, 3, 7);
	case_stack(stack, 1, WALK_ROOT, 3, 1, 7);
	case_snapshot();
	options.all = true;
	options.left_out = (struct report_left_out){2, 300, 9};
	expect_report(&knowing, NULL, &options, "malloc 14\n[left out of the report] 300\n");
}

/* A line is functions parted by semicolons, then one number; a # at its beginning a comment. */
static void test_hostile_names(void **state)
{
	static const struct answer hostile[] = {
		{1, 0x113f, {{"a;b\nc\t|\x1b[31m\xff \"q\" \\", NULL, 0, false}}, 1},
		{1, 0x11ff, {{"# f", NULL, 0, false}}, 1},
		{2, 0x9f00, {{"leaf 12 3.5", NULL, 0, false}}, 1},
	};
	struct resolver r = {.answers = hostile, .count = ARRAY_SIZE(hostile)};
	const frame_t stack[] = {MALLOC, frame_of(1, 0x1140), MAIN};

	(void)state;
	case_stack(stack, 3, WALK_ROOT, 1, 0, 8);
	case_snapshot();
	expect_report(&r, NULL, &folded,
		      "\\# f;a:b\\x0ac\\x09|\\x1b[31m\\xff \"q\" \\;leaf 12_3.5 8\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_call_stack, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_nothing_in_use_and_left_out, case_begin,
						case_end),
		cmocka_unit_test_setup_teardown(test_hostile_names, case_begin, case_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
