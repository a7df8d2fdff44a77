/* The formats of viewers, byte for byte where they are text: what has no frame, names that are
 * no text, and blocks that share their bytes.  tests/e2e/test_viewers.py reads all of them
 * back. */
#include "report_case.h"

#include "report/expect.h"
#include "report/export/viewers.h"

static struct report_options options_of(enum report_format format)
{
	return (struct report_options){
		.format = format, .viewers = report_viewers, .count = 1, .version = "0.1.0"};
}

/* 265 + 150 + 137 bytes, one stack cut, a name that is not UTF-8. */
static void hostile(void)
{
	const frame_t stack[] = {MALLOC, frame_of(1, 0x1140), MAIN};

	case_stack(stack, 3, WALK_DEPTH, 3, 0, 5);
	case_snapshot();
}

static const struct answer answers_hostile[] = {
	{1, 0x113f, {{"a#b\xff\n", "/src/\x1b.c", 7, false}}, 1},
	{1, 0x11ff, {{"in", "/src/in.h", 3, true}, {"main", NULL, 0, false}}, 2},
	{2, 0x9f00, {{"malloc", NULL, 0, false}}, 1},
};
static struct resolver naming = {.answers = answers_hostile,
				 .count = ARRAY_SIZE(answers_hostile)};

static void test_massif(void **state)
{
	struct report_options options = options_of(REPORT_MASSIF);
	struct course course = {.max_bytes = 4096};
	const struct course_point points[] = {{.ms = 1000, .in_use = 70},
					      {.ms = 3000, .in_use = 90}};

	(void)state;
	hostile();
	course_add(&course, &points[0]);
	course_add(&course, &points[1]);
	options.course = &course;
	options.left_out = (struct report_left_out){2, 300, 9};
	expect_report(
		&naming, NULL, &options,
		"desc: memtrace 0.1.0, process 16563\ncmd: ./demo -x\ntime_unit: ms\n"
		"#-----------\nsnapshot=0\n#-----------\ntime=0\nmem_heap_B=70\n"
		"mem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree=empty\n"
		"#-----------\nsnapshot=1\n#-----------\ntime=2000\nmem_heap_B=90\n"
		"mem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree=empty\n"
		"#-----------\nsnapshot=2\n#-----------\ntime=12400\nmem_heap_B=315\n"
		"mem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree=detailed\n"
		"n2: 315 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.\n"
		" n0: 300 0x0: [left out of the report]\n"
		" n1: 15 0x55550000113F: a@b\\xff\\x0a (/src/\\x1b.c:7)\n"
		"  n1: 15 0x5555000011FF: in (/src/in.h:3)\n"
		"   n1: 15 0x5555000011FF: main (in /src/demo)\n"
		"    n0: 15 0x0: [stack cut: depth]\n");
	course_clear(&course);
}

/* What is small is one line, and no stack that ends where others go on is a child. */
static void test_massif_threshold(void **state)
{
	struct report_options options = options_of(REPORT_MASSIF);
	const frame_t inner[] = {MALLOC, frame_of(1, 0x1140), MAIN};
	const frame_t small[] = {MALLOC, frame_of(1, 0x1200)};
	char *text;

	(void)state;
	case_stack(inner, 3, WALK_ROOT, 1, 0, 600);
	case_stack(inner, 2, WALK_ROOT, 1, 0, 1000);
	case_stack(small, 2, WALK_ROOT, 1, 0, 1);
	case_snapshot();
	text = case_report(&naming, NULL, &options);
	assert_string_equal(
		strstr(text, "n2: "),
		"n2: 1601 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.\n"
		" n1: 1600 0x55550000113F: a@b\\xff\\x0a (/src/\\x1b.c:7)\n"
		"  n1: 600 0x5555000011FF: in (/src/in.h:3)\n"
		"   n0: 600 0x5555000011FF: main (in /src/demo)\n"
		" n1: 1 0x5555000011FF: in (/src/in.h:3)\n"
		"  n0: 1 0x5555000011FF: main (in /src/demo)\n");
	free(text);
	case_end(NULL);
	assert_int_equal(case_begin(NULL), 0);
	case_stack(inner, 3, WALK_ROOT, 1, 0, 6000);
	case_stack(small, 2, WALK_ROOT, 1, 0, 1);
	case_snapshot();
	text = case_report(&naming, NULL, &options);
	assert_non_null(
		strstr(text, "\n n0: 1 in 1 place, all below massif's threshold (0.10%)\n"));
	free(text);
}

/* 17 bytes in 3 blocks: two of 6, one of 5. */
static void test_heaptrack(void **state)
{
	struct report_options options = options_of(REPORT_HEAPTRACK);

	(void)state;
	hostile();
	heap->contexts[1].allocated_bytes += 2;
	heap->resident_bytes = 1 << 20;
	expect_report(&naming, NULL, &options,
		      "v 10400 2\nX ./demo -x\nI 1000 0\nc 0\n"
		      "s [stack cut: depth]\ni 0 0 1 0 0\nt 1 0\n"
		      "s in\ns /src/in.h\ns main\ns /src/demo\n"
		      "i 5555000011ff 5 2 3 3 4 0 0\nt 2 1\n"
		      "s a#b\\xff\\x0a\ns /src/\\x1b.c\ni 55550000113f 5 6 7 7\nt 3 2\n"
		      "a 6 3\n+ 0\n+ 0\na 5 3\n+ 1\nR 100\nc 3070\n");
}

static void test_gperftools(void **state)
{
	struct report_options options = options_of(REPORT_GPERFTOOLS);

	(void)state;
	case_demo();
	case_snapshot();
	expect_report(&knowing, NULL, &options,
		      "heap profile:     56:      552 [   111:      967] @ heapprofile\n"
		      "     5:      265 [    10:      530] @ 0x7f0000009f00 0x555500001140 "
		      "0x555500001200 0x7f00000271ca\n"
		      "    50:      150 [   100:      300] @ 0x7f0000009f00 0x555500001300 "
		      "0x555500001200 0x7f00000271ca\n"
		      "     1:      137 [     1:      137] @ 0x7f0000009f00 0x555500005000 "
		      "0x7f1000001234\n"
		      "\nMAPPED_LIBRARIES:\n"
		      "555500000000-555500010000 r-xp 00000000 00:00 0 /src/demo\n"
		      "7f0000000000-7f0000010000 r-xp 00000000 00:00 0 /lib/libc.so.6\n"
		      "7f1000000000-7f1000010000 r-xp 00000000 00:00 0 /opt/plug\"in.so\n");
}

/* 17 bytes are expected not to be, of a name that is no text, in files that are none. */
static void test_results(void **state)
{
	struct report_options options = options_of(REPORT_JUNIT);
	struct expectation e = {.text = "context:used>\"<1&", .of_context = true, .limit = 1};
	struct expect_result result = {.expectation = &e, .value = 15, .context = 1};
	struct expect_context at = {.id = 1, .bytes = 15, .blocks = 3};
	struct expect_results results = {&result, 1, 1, 0, {&at, 1, 1}};

	(void)state;
	hostile();
	options.results = &results;
	expect_report(
		&naming, NULL, &options,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites name=\"memtrace\" tests=\"1\" failures=\"1\" errors=\"0\">\n"
		"<testsuite name=\"memtrace.demo\" tests=\"1\" failures=\"1\" errors=\"0\" "
		"skipped=\"0\" timestamp=\"2022-02-23T16:31:51\" time=\"0\">\n"
		"<testcase classname=\"memtrace.demo\" name=\"context:used&gt;&quot;&lt;1&amp;\" "
		"time=\"0\">\n<failure type=\"context:used\" "
		"message=\"a call stack has 15 bytes\">#1 a#b\\xff\\x0a: 15 bytes\n"
		"    a#b\\xff\\x0a (/src/\\x1b.c:7)\n    in (/src/in.h:3)\n"
		"    main (in /src/demo)\n    [stack cut: depth]\n"
		"</failure>\n</testcase>\n</testsuite>\n</testsuites>\n");
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("not there: %s\nin: %s", part, text);
}

/* The parts of the page that a browser's reader would not tell apart. */
static void test_html(void **state)
{
	struct report_options options = options_of(REPORT_HTML);
	struct course course = {.max_bytes = 4096};
	const struct course_point points[] = {{.ms = 1000, .in_use = 70},
					      {.ms = 3000, .in_use = 90}};
	char *text;

	(void)state;
	hostile();
	course_add(&course, &points[0]);
	course_add(&course, &points[1]);
	options.course = &course;
	options.left_out = (struct report_left_out){2, 300, 9};
	free((char *)heap->modules[0].id.path);
	heap->modules[0].id.path = strdup("'\"><img src=x>\xe2\x80\xae&");
	text = case_report(&naming, NULL, &options);
	has(text, "<h1>What 3 call stacks allocated while memtrace watched is in use; the largest "
		  "holds 100%.</h1>\n<p>Process 16563 (./demo -x), watched for 12.4 s</p>\n");
	has(text, "<li>what was allocated before 2022-02-23 16:31:39 UTC: it is in no count</li>\n"
		  "<li>how 1 of 2 call stacks begin: each says why</li>\n"
		  "<li>the call stacks that the report had left out of which this was made (2)"
		  "</li>\n<li>whether it grows: the capture has no verdicts</li>\n</ul>");
	has(text, "<path class=\"use\" d=\"M80.0 38.7L780.0 12.0\"/>");
	assert_null(strstr(text, "class=\"rss\" d")); /* it is not known */
	has(text, "<li>0x55550000113F: a#b\\xff\\x0a (/src/\\x1b.c:7)\n"
		  "<li class=\"inlined\">0x5555000011FF: in (/src/in.h:3) inlined\n"
		  "<li>0x5555000011FF: main (in &#39;&quot;&gt;&lt;img src=x&gt;"
		  "\\xe2\\x80\\xae&amp;)\n<li class=\"cut\">[stack cut: depth]</ol>");
	has(text, "<summary>[left out of the report]</summary>");
	has(text, "<tr><td>&#39;&quot;&gt;&lt;img src=x&gt;\\xe2\\x80\\xae&amp;<td>8a3f01<td>");
	free(text);
	course_clear(&course);
}

/* The data of the page: the target's texts end nothing; marks are what changed since the one before. */
static void test_html_data(void **state)
{
	struct report_options options = options_of(REPORT_HTML);
	struct mark_counters first[2] = {{0}, {1, 0, 5, 0}}, second[2] = {{0}, {3, 1, 300, 5}};
	struct marks marks = {.count = 2};
	const struct diff_context changed = {.id = 1, .blocks = -2, .bytes = 10};
	const struct diff diff = {
		.from = "</script>", .to = "b", .at = (struct diff_context *)&changed, .count = 1};
	char *text;

	(void)state;
	hostile();
	options.marks = &marks;
	options.diff = &diff;
	marks.at[0] = (struct mark){.name = "a", .contexts = first, .context_count = 2};
	marks.at[1] = (struct mark){.name = "b", .contexts = second, .context_count = 2};
	for (int i = 0; i < 2; i++) {
		marks.at[i].started = marks.at[i].taken = heap->started;
		marks.at[i].taken.tv_sec += 1 + i;
	}
	free((char *)heap->modules[0].id.path);
	heap->modules[0].id.path = strdup("</script>\\\"&\xe2\x80\xae\x01\xc3\xa4");
	text = case_report(&naming, NULL, &options);
	has(text, "\n\"modules\":[\"\\u003c/script\\u003e\\\\\\\"\\u0026\\\\xe2\\\\x80\\\\xae\\\\x01\xc3\xa4\",\n");
	/* 2 1 0 5 0; 2 2 1 295 (0xa7 0x02) 5: LEB128 in base64 */
	has(text, "\"marks\":[{\"name\":\"a\",\"seconds\":1.00,\"changes\":\"AgEABQA=\"},\n"
		  "{\"name\":\"b\",\"seconds\":2.00,\"changes\":\"AgIBpwIF\"}]");
	has(text, "\"comparison\":{\"from\":\"\\u003c/script\\u003e\",\n\"id\":[1],\n\"bytes\":[10],\n"
		  "\"blocks\":[-2]}");
	has(text, "\"nodes\":{\"frame\":[1,0,2],\n\"caller\":[-1,1,1]}");
	has(text, "<p>From &lt;/script&gt; to b");
	free(text);
}

/* A program that has none of them. */
static void test_none(void **state)
{
	struct report_options options = options_of(REPORT_PPROF);
	struct err err = {0};

	(void)state;
	hostile();
	options.viewers = NULL;
	assert_int_equal(report_write(heap, NULL, NULL, &options, stdout, &err), -ENOTSUP);
	assert_string_equal(err.text,
			    "this memtrace is a small one: save a snapshot, and 'memtrace-fs "
			    "--report FILE --format=pprof' makes it of that");
}

/* What can't be written is said; nothing is lost in silence. */
static void test_full_disk(void **state)
{
	struct expect_results none = {0};
	struct err err = {0};

	(void)state;
	hostile();
	for (unsigned format = 0; format <= REPORT_SARIF; format++) {
		struct report_options options = options_of((enum report_format)format);
		FILE *full = fopen("/dev/full", "w");

		options.results = &none;
		assert_non_null(full);
		assert_int_equal(report_write(heap, &naming, NULL, &options, full, &err),
				 -ENOSPC);
		fclose(full);
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, case_begin, case_end)
	const struct CMUnitTest tests[] = {
		CASE(test_massif),    CASE(test_massif_threshold),
		CASE(test_heaptrack), CASE(test_gperftools), CASE(test_results),
		CASE(test_html),      CASE(test_html_data),
		CASE(test_none),      CASE(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
