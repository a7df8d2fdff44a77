/* The JSON form, byte for byte. */
#include "report_case.h"

static const struct report_options json = {
	.format = REPORT_JSON, .count = 10, .depth = 3, .version = "0.1.0"};

static const char *dynamic_symbol(void *arg, const struct snapshot_module *module,
				  uint64_t offset, uint64_t *base)
{
	(void)arg;
	*base = offset;
	return module->instance == 3 ? "plugin_init" : NULL;
}

/* Functions of a stack that is spelled out. */
#define SPELLED(pc, module, offset, build_id, place, inlined, rest) \
	"      {\"pc\": \"" pc "\", \"module\": " module ", \"offset\": \"" offset "\", \"build_id\": " \
	build_id ", \"function\": " place ", \"inlined\": " inlined rest "}"
#define DEMO(pc, offset, place, inlined, rest) \
	SPELLED(pc, "\"/src/demo\"", offset, "\"8a3f01\"", place, inlined, rest)
#define LIBC(pc, offset, place, rest) \
	SPELLED(pc, "\"/lib/libc.so.6\"", offset, "null", place, "false", rest)
#define IN_MALLOC LIBC("0x7f0000009f00", "0x9f00", "\"malloc\", \"file\": null, \"line\": null", ", \"allocator\": true")
#define IN_MAIN DEMO("0x555500001200", "0x1200", "\"main\", \"file\": \"/src/demo.c\", \"line\": 50", "false", "")
#define IN_START LIBC("0x7f00000271ca", "0x271ca", "\"__libc_start_call_main\", \"file\": null, \"line\": null", "")

/* clang-format off: the expected text stands as it is written */
static void test_whole_report(void **state)
{
	const struct report_names names = {.symbol = dynamic_symbol};

	(void)state;
	case_demo();
	case_snapshot();
	heap->thread_count = 2;
	heap->threads = calloc(2, sizeof(*heap->threads));
	heap->threads[0] = (struct snapshot_thread){16563, "d\x1b", "running", 111, 55};
	heap->threads[1] = (struct snapshot_thread){16564, "w", "sleeping", 0, 0};
	expect_report(
		&knowing, &names, &json,
		"{\n"
		"  \"memtrace\": \"0.1.0\",\n"
		"  \"version\": 2,\n"
		"  \"pid\": 16563,\n"
		"  \"command\": [\"./demo\", \"-x\"],\n"
		"  \"time\": \"2022-02-23T16:31:51Z\",\n"
		"  \"started\": \"2022-02-23T16:31:39.10Z\",\n"
		"  \"duration\": 12.40,\n"
		"  \"running\": true,\n"
		"  \"rss_bytes\": 1048576,\n"
		"  \"rss_start_bytes\": null,\n"
		"  \"allocator_bytes\": null,\n"
		"  \"engine\": \"breakpoint\",\n"
		"  \"summary\": {\"in_use_bytes\": 552, \"in_use_blocks\": 56, \"allocs\": "
		"111, \"frees\": 55,\n"
		"    \"allocated_bytes\": 967, \"freed_bytes\": 415, \"peak_bytes\": 552, "
		"\"frees_of_unknown\": 0, "
		"\"lost_events\": 0},\n"
		"  \"not_followed\": [],\n"
		"  \"frames\": [\n"
		"    {\"pc\": \"0x7f0000009f00\", \"module\": 1, \"offset\": \"0x9f00\", "
		"\"function\": \"malloc\", \"file\": null, \"line\": null, \"allocator\": "
		"true},\n"
		"    {\"pc\": \"0x555500001140\", \"module\": 0, \"offset\": \"0x1140\", "
		"\"function\": \"multimalloc\", \"file\": \"/src/demo.c\", \"line\": 28},\n"
		"    {\"pc\": \"0x555500001200\", \"module\": 0, \"offset\": \"0x1200\", "
		"\"function\": \"main\", \"file\": \"/src/demo.c\", \"line\": 50},\n"
		"    {\"pc\": \"0x7f00000271ca\", \"module\": 1, \"offset\": \"0x271ca\", "
		"\"function\": \"__libc_start_call_main\", \"file\": null, \"line\": "
		"null},\n"
		"    {\"pc\": \"0x555500001300\", \"module\": 0, \"offset\": \"0x1300\", "
		"\"function\": \"ns::List<int, "
		"std::less<int> >::insert(std::pair<int const, std::vector<int> > const&, "
		"int)\", \"file\": \"/src/list.cc\", \"line\": 77, \"inlined\": ["
		"{\"function\": \"operator new(unsigned long)\", \"file\": \"/src/new.h\", "
		"\"line\": 3, \"allocator\": true}, {\"function\": \"push\", \"file\": "
		"\"/src/list.h\", \"line\": 9}]},\n"
		"    {\"pc\": \"0x555500005000\", \"module\": 0, \"offset\": \"0x5000\", "
		"\"function\": null, \"file\": null, \"line\": null},\n"
		"    {\"pc\": \"0x7f1000001234\", \"module\": 2, \"offset\": \"0x1234\", "
		"\"function\": \"plugin_init\", \"file\": null, \"line\": null, \"guess\": "
		"true}],\n"
		"  \"contexts\": [\n"
		"    {\"id\":1,\"in_use_bytes\":265,\"in_use_blocks\":5,\"allocs\":10,\"frees\":5,"
		"\"allocated_bytes\":530,\"peak_bytes\":265,\"first_time\":1.00,\"last_time\":1.00,"
		"\n     \"stack\": [\n"
		IN_MALLOC ",\n"
		DEMO("0x555500001140", "0x1140", "\"multimalloc\", \"file\": \"/src/demo.c\", \"line\": 28", "false", "") ",\n"
		IN_MAIN ",\n" IN_START "],\n     \"stack_end\": \"root\"},\n"
		"    {\"id\":2,\"in_use_bytes\":150,\"in_use_blocks\":50,\"allocs\":100,\"frees\":"
		"50,\"allocated_bytes\":300,\"peak_bytes\":150,\"first_time\":2.00,\"last_time\":"
		"2.00,\n     \"stack\": [\n"
		IN_MALLOC ",\n"
		DEMO("0x555500001300", "0x1300", "\"operator new(unsigned long)\", \"file\": \"/src/new.h\", \"line\": 3",
		     "true", ", \"allocator\": true") ",\n"
		DEMO("0x555500001300", "0x1300", "\"push\", \"file\": \"/src/list.h\", \"line\": 9", "true", "") ",\n"
		DEMO("0x555500001300", "0x1300", "\"ns::List<int, std::less<int> >::insert(std::pair<int const, "
		     "std::vector<int> > const&, int)\", \"file\": \"/src/list.cc\", \"line\": 77", "false", "") ",\n"
		IN_MAIN ",\n" IN_START "],\n     \"stack_end\": \"depth\"},\n"
		"    {\"id\":3,\"in_use_bytes\":137,\"in_use_blocks\":1,\"allocs\":1,\"frees\":0,"
		"\"allocated_bytes\":137,\"peak_bytes\":137,\"first_time\":3.00,\"last_time\":3.00,"
		"\n     \"stack\": [\n"
		IN_MALLOC ",\n"
		DEMO("0x555500005000", "0x5000", "null, \"file\": null, \"line\": null", "false", "") ",\n"
		SPELLED("0x7f1000001234", "\"/opt/plug\\\"in.so\"", "0x1234", "\"8a3f01\"",
			"\"plugin_init\", \"file\": null, \"line\": null", "false", ", \"guess\": true")
		"],\n     \"stack_end\": \"no-unwind-data\"}],\n"
		"  \"left_out\": {\"contexts\": 0, \"in_use_bytes\": 0, "
		"\"in_use_blocks\": 0},\n"
		"  \"threads\": [{\"tid\": 16563, \"name\": \"d\\u001b\", \"state\": "
		"\"running\", "
		"\"allocs\": 111, \"frees\": 55}, {\"tid\": 16564, \"name\": \"w\", \"state\": "
		"\"sleeping\", \"allocs\": 0, \"frees\": 0}],\n"
		"  \"modules\": [\n"
		"    {\"path\": \"/src/demo\", \"build_id\": \"8a3f01\", \"begin\": "
		"\"0x555500000000\", \"end\": \"0x555500010000\", \"symbols_from\": \"its own "
		".symtab\", \"unwind_from\": \".eh_frame\"},\n"
		"    {\"path\": \"/lib/libc.so.6\", \"build_id\": null, \"begin\": "
		"\"0x7f0000000000\", \"end\": \"0x7f0000010000\", \"symbols_from\": null, "
		"\"unwind_from\": \".eh_frame\"},\n"
		"    {\"path\": \"/opt/plug\\\"in.so\", \"build_id\": \"8a3f01\", \"begin\": "
		"\"0x7f1000000000\", \"end\": \"0x7f1000010000\", \"symbols_from\": \"dynamic "
		"symbols\", \"unwind_from\": null}]\n"
		"}\n");
}

/* clang-format on */

/* Bytes that no string should hold: the document stays valid UTF-8 and JSON. */
static void test_strings_of_the_target(void **state)
{
	char *text;

	(void)state;
	case_snapshot();
	free(heap->command[1]);
	heap->command[1] = strdup("\"\\\n\x1b\x7f/\xc3\xa4\xff\xe2\x82\xf0\x9f\x98\x80");
	text = case_report(NULL, NULL, &json);
	assert_non_null(strstr(
		text, "\"command\": [\"./demo\", \"\\\"\\\\\\u000a\\u001b\\u007f/\xc3\xa4"
		      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80\"],"));
	assert_non_null(strstr(text, "\"contexts\": [],\n"));
	free(text);
}

/* What -n leaves out, and what is not there any more. */
static void test_left_out(void **state)
{
	struct report_options options = json;
	char *text;

	(void)state;
	case_demo();
	case_snapshot();
	heap->running = false;
	heap->resident_bytes = 0;
	options.count = 1;
	text = case_report(&knowing, NULL, &options);
	assert_non_null(strstr(text, "\"left_out\": {\"contexts\": 2, \"in_use_bytes\": 287, "
				     "\"in_use_blocks\": 51},\n  \"threads\": [],\n"));
	assert_non_null(strstr(text, "\"running\": false,\n  \"rss_bytes\": null,\n"));
	free(text);
}

static void test_one_context_and_unknown_places(void **state)
{
	const frame_t stack[] = {frame_of(FRAME_NOWHERE, 0x7f0012345678) | FRAME_EXACT,
				 frame_of(9, 0x10)};
	struct report_options options = json;
	char *text;

	(void)state;
	case_demo();
	case_stack(stack, 2, WALK_NO_MODULE, 1, 0, 0);
	case_snapshot();
	heap->totals.overflow_blocks = 5;
	options.context = 4;
	text = case_report(&knowing, NULL, &options);
	assert_null(strstr(text, "\"id\":3"));
	assert_non_null(strstr(
		text, "  \"frames\": [\n"
		      "    {\"pc\": \"0x7f0012345678\", \"module\": null, "
		      "\"offset\": null, \"function\": null, \"file\": null, "
		      "\"line\": null},\n"
		      "    {\"pc\": \"0x10\", \"module\": null, \"offset\": null, "
		      "\"function\": null, \"file\": null, \"line\": null}],\n"
		      "  \"contexts\": [\n"
		      "    {\"id\":4,\"in_use_bytes\":0,\"in_use_blocks\":1,\"allocs\":1,"
		      "\"frees\":0,\"allocated_bytes\":0,\"peak_bytes\":0,\"first_time\":4.00,"
		      "\"last_time\":4.00,\n     \"stack\": [\n"
		      "      {\"pc\": \"0x7f0012345678\", \"module\": null, \"offset\": null, "
		      "\"build_id\": null, \"function\": null, \"file\": null, \"line\": null, "
		      "\"inlined\": false},\n"
		      "      {\"pc\": \"0x10\", \"module\": null, \"offset\": null, \"build_id\": "
		      "null, \"function\": null, \"file\": null, \"line\": null, \"inlined\": "
		      "false}],\n     \"stack_end\": \"no-module\"}],\n"));
	assert_non_null(strstr(text, "\"lost_events\": 0, \"overflow_blocks\": 5}"));
	free(text);
}

/* More than 1000 have numbers. */
static void test_many(void **state)
{
	struct report_options options = json;
	char *text;

	(void)state;
	case_demo();
	for (unsigned i = 0; i < 998; i++) {
		const frame_t stack[] = {frame_of(1, 0x2000 + i)};

		case_stack(stack, 1, WALK_ROOT, 1, 0, 8);
	}
	case_snapshot();
	options.all = true;
	options.count = 1000;
	text = case_report(&knowing, NULL, &options);
	assert_non_null(strstr(text, "\"last_time\":1.00,\n     \"stack\": [\n      {\"pc\": "));
	free(text);
	options.count = 0;
	text = case_report(&knowing, NULL, &options);
	assert_non_null(strstr(text, "\"last_time\":1.00,\"stack\":[0,1,2,3],\"stack_end\":\"root\"},\n"));
	assert_null(strstr(text, "\"stack\": ["));
	free(text);
}

static void expect_end(enum walk_end end, const char *word)
{
	const frame_t stack[] = {frame_of(1, 0x100)};
	char *text, *found;

	case_begin(NULL);
	case_stack(stack, 1, end, 1, 0, 1);
	case_snapshot();
	text = case_report(NULL, NULL, &json);
	found = strstr(text, "\"stack_end\": \"") + strlen("\"stack_end\": \"");
	assert_memory_equal(found, word, strlen(word));
	assert_int_equal(found[strlen(word)], '"');
	free(text);
	case_end(NULL);
}

static void test_words_for_ends(void **state)
{
	(void)state;
	expect_end(WALK_ROOT, "root");
	expect_end(WALK_DEPTH, "depth");
	expect_end(WALK_NO_DATA, "no-unwind-data");
	expect_end(WALK_NO_MODULE, "no-module");
	expect_end(WALK_UNREADABLE, "unreadable");
	expect_end(WALK_LOOP, "loop");
	expect_end(WALK_LOST, "lost");
}

/* The progress callback: not for a report that is done at once. */
static void unwanted(void *arg, const char *what, size_t done, size_t count)
{
	(void)what;
	(void)done;
	(void)count;
	*(bool *)arg = true;
}

static void test_no_progress_in_the_first_second(void **state)
{
	struct report_options options = json;
	bool called = false;

	(void)state;
	options.progress = unwanted;
	options.progress_arg = &called;
	case_demo();
	case_snapshot();
	free(case_report(&knowing, NULL, &options));
	assert_false(called);
}

static void test_not_followed(void **state)
{
	struct snapshot_missed *missed = calloc(2, sizeof(*missed));
	char *text;

	(void)state;
	case_demo();
	case_snapshot();
	missed[0] = (struct snapshot_missed){strdup("/opt/a\"b.so"), strdup("malloc"),
					     strdup("it is too short")};
	missed[1] = (struct snapshot_missed){strdup("/opt/c.so"), NULL, strdup("no room")};
	heap->missed = missed;
	heap->missed_count = 2;
	text = case_report(&knowing, NULL, &json);
	assert_non_null(strstr(text,
			       "  \"not_followed\": [{\"module\": \"/opt/a\\\"b.so\", "
			       "\"function\": \"malloc\", \"reason\": \"it is too short\"}, "
			       "{\"module\": \"/opt/c.so\", \"function\": null, \"reason\": "
			       "\"no room\"}],\n"));
	assert_null(strstr(text, "left_behind"));
	free(text);
}

static void test_left_behind(void **state)
{
	char *text;

	(void)state;
	case_demo();
	case_snapshot();
	heap->left_behind = calloc(3, sizeof(*heap->left_behind));
	heap->left_behind[0] = strdup("stubs stay");
	heap->left_behind[1] = strdup("a \"page\"");
	text = case_report(&knowing, NULL, &json);
	assert_non_null(strstr(text, "  \"not_followed\": [],\n"
				     "  \"left_behind\": [\"stubs stay\", \"a \\\"page\\\"\"],\n"
				     "  \"frames\": ["));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_not_followed, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_left_behind, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_whole_report, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_strings_of_the_target, case_begin,
						case_end),
		cmocka_unit_test_setup_teardown(test_left_out, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_one_context_and_unknown_places, case_begin,
						case_end),
		cmocka_unit_test_setup_teardown(test_many, case_begin, case_end),
		cmocka_unit_test(test_words_for_ends),
		cmocka_unit_test_setup_teardown(test_no_progress_in_the_first_second,
						case_begin, case_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
