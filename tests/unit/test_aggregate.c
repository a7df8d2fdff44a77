/* Many call stacks as few lines: filters, sums, the tree. */
#include "report_case.h"

#include "heap/verdicts.h"

static const struct report_options plain = {.depth = 3, .version = "0.1.0"};

static void says(const struct report_options *options, const char *expected)
{
	char *text = case_report(&knowing, NULL, options);

	assert_string_equal(text, expected);
	free(text);
}

static void demo(void **state)
{
	(void)state;
	case_demo();
	case_snapshot();
}

static void by_who_allocated(void **state)
{
	struct report_options options = plain;

	demo(state);
	options.by = REPORT_BY_FUNCTION;
	says(&options, "48%  265 bytes in 5 blocks, 1 call stack: multimalloc\n"
	     "27%  150 bytes in 50 blocks, 1 call stack: push\n"
	     "24%  137 bytes in 1 block, 1 call stack: demo\n");
	options.by = REPORT_BY_FILE;
	says(&options, "48%  265 bytes in 5 blocks, 1 call stack: /src/demo.c\n"
	     "27%  150 bytes in 50 blocks, 1 call stack: /src/list.h\n"
	     "24%  137 bytes in 1 block, 1 call stack: demo\n");
	options.by = REPORT_BY_MODULE;
	options.count = 1;
	says(&options, "100%  552 bytes in 56 blocks, 3 call stacks: demo\n");
}

static void tree(void **state)
{
	struct report_options options = plain;

	demo(state);
	options.tree = true;
	says(&options, "75%  415 bytes in 55 blocks  main\n"
	     "  48%  265 bytes in 5 blocks  multimalloc\n"
	     "  27%  150 bytes in 50 blocks  ns::List<int, std::less<int> >::insert(std::pair<int const, std::vector<int> > "
		"const&, int)\n"
	     "    27%  150 bytes in 50 blocks  push\n"
	     "24%  137 bytes in 1 block  plug\"in.so\n"
	     "  24%  137 bytes in 1 block  demo\n");
	options.callers = true;
	says(&options, "48%  265 bytes in 5 blocks  multimalloc\n"
	     "  48%  265 bytes in 5 blocks  main\n"
	     "27%  150 bytes in 50 blocks  push\n"
	     "  27%  150 bytes in 50 blocks  ns::List<int, std::less<int> >::insert(std::pair<int const, std::vector<int> > "
		"const&, int)\n"
	     "    27%  150 bytes in 50 blocks  main\n"
	     "24%  137 bytes in 1 block  demo\n"
	     "  24%  137 bytes in 1 block  plug\"in.so\n");
	options.tree_from = "demo.c";
	says(&options, "63%  265 bytes in 5 blocks  multimalloc\n"
	     "  63%  265 bytes in 5 blocks  main\n"
	     "36%  150 bytes in 50 blocks  main\n");
	options.tree_from = "nobody";
	says(&options, "Nothing in use was allocated there.\n");
}

static void filters(void **state)
{
	struct report_options options = plain;

	demo(state);
	options.by = REPORT_BY_FUNCTION;
	options.in = "main";
	says(&options, "48%  265 bytes in 5 blocks, 1 call stack: multimalloc\n"
	     "27%  150 bytes in 50 blocks, 1 call stack: push\n");
	options.in = "insert"; /* of ns::List<int, ...>::insert(...) */
	says(&options, "27%  150 bytes in 50 blocks, 1 call stack: push\n");
	options.in = "plug*.so";
	says(&options, "24%  137 bytes in 1 block, 1 call stack: demo\n");
	options.in = NULL;
	options.not_in = "list.?c";
	says(&options, "48%  265 bytes in 5 blocks, 1 call stack: multimalloc\n"
	     "24%  137 bytes in 1 block, 1 call stack: demo\n");
	options.in = "/src/*";
	options.not_in = "multimalloc";
	says(&options, "27%  150 bytes in 50 blocks, 1 call stack: push\n"
	     "24%  137 bytes in 1 block, 1 call stack: demo\n");
}

static void recursion_is_folded(void **state)
{
	const frame_t stack[] = {frame_of(1, 0x1140), frame_of(1, 0x1200), frame_of(1, 0x1140),
				 frame_of(1, 0x1200), frame_of(1, 0x1200)};
	struct report_options options = plain;

	(void)state;
	case_stack(stack, 5, WALK_ROOT, 1, 0, 100);
	case_snapshot();
	options.tree = true;
	says(&options, "100%  100 bytes in 1 block  main\n"
	     "  100%  100 bytes in 1 block  multimalloc\n");
}

static void by_what_threads_run(void **state)
{
	struct report_options options = plain;

	demo(state);
	options.by = REPORT_BY_THREAD;
	says(&options, "51%  287 bytes in 51 blocks, 2 call stacks: (the stack is cut)\n"
	     "48%  265 bytes in 5 blocks, 1 call stack: main\n");
}

/* Two of three call stacks have blocks that are old enough. */
static void min_age(void **state)
{
	static const struct births_span old[] = {{0}, {0, 0, 5}, {9, 1, 50}, {1, 0, 1}};
	struct report_options options = plain;
	char *text;

	demo(state);
	options.min_age_ms = 10000;
	options.old = old;
	options.old_count = ARRAY_SIZE(old);
	text = case_report(&knowing, NULL, &options);
	assert_null(strstr(text, "#1  "));
	assert_non_null(strstr(text, "1. #2  150 bytes in 50 blocks were not free (27%)\n"
				     "    100 allocs, 50 frees\n"
				     "    9 to 10 blocks were allocated at least 10 s ago\n"));
	assert_non_null(strstr(text, "    1 block was allocated at least 10 s ago\n"));
	free(text);
}

/* 100 in the first generation, 50 more in the second, all freed but 10 in the third; 265 now. */
static void sparkline(void **state)
{
	static uint8_t first[] = {2, 1, 0, 100, 0}, second[] = {2, 1, 0, 50, 0},
		       third[] = {2, 0, 1, 0, 0x8c, 1};
	struct generations g = {.count = 3,
				.at = {{100, first, sizeof(first)},
				       {200, second, sizeof(second)},
				       {300, third, sizeof(third)}}};
	struct diff_context one = {
		.id = 1, .born = 3, .died = 1, .blocks = 2, .bytes = 265, .survived_least = 2,
		.survived_most = 3};
	struct diff diff = {.from = "a", .to = "now", .at = &one, .count = 1, .grown = 1};
	struct report_options options = plain;
	char *text;

	demo(state);
	heap->verdicts = calloc(1, sizeof(*heap->verdicts));
	heap->verdicts->generations = &g;
	options.diff = &diff;
	text = case_report(&knowing, NULL, &options);
	assert_non_null(strstr(text, "    3 born, 1 died, 2 to 3 survived\n"
				     "    in use until now: |-=.@|\n"));
	free(text);
	options.utf8 = true;
	text = case_report(&knowing, NULL, &options);
	assert_non_null(strstr(text, "    in use until now: |\u2583\u2584\u2581\u2588|\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(by_who_allocated, case_begin, case_end),
		cmocka_unit_test_setup_teardown(tree, case_begin, case_end),
		cmocka_unit_test_setup_teardown(filters, case_begin, case_end),
		cmocka_unit_test_setup_teardown(by_what_threads_run, case_begin, case_end),
		cmocka_unit_test_setup_teardown(min_age, case_begin, case_end),
		cmocka_unit_test_setup_teardown(sparkline, case_begin, case_end),
		cmocka_unit_test_setup_teardown(recursion_is_folded, case_begin, case_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
