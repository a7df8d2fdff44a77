/* The text form, word for word, and the console's three lists. */
#include "heap/snapshot_file.h"
#include "heap/verdicts.h"
#include "report_case.h"

#include "report/job.h"

#include <time.h>

#include "report/fold.h"
#include "report/print.h"
#include "report/utf8.h"

static const struct report_options plain = {.count = 10, .depth = 3, .version = "0.1.0"};

static void test_whole_report(void **state)
{
	(void)state;
	case_demo();
	case_snapshot();
	expect_report(
		&knowing, NULL, &plain,
		"Process 16563 (./demo -x), watched for 12.4 s\n"
		"\n"
		"What 3 call stacks allocated while memtrace watched is in use; the largest "
		"holds\n"
		"48%.\n"
		"\n"
		"1. #1  265 bytes in 5 blocks were not free (48%)\n"
		"    10 allocs, 5 frees\n"
		"    multimalloc() in /src/demo.c:28\n"
		"    main() in /src/demo.c:50\n"
		"    __libc_start_call_main() in libc.so.6\n"
		"\n"
		"2. #2  150 bytes in 50 blocks were not free (27%)\n"
		"    100 allocs, 50 frees\n"
		"    push() in /src/list.h:9 (inlined)\n"
		"    ns::List<...>::insert(std::pair<...> const&, int) in /src/list.cc:77\n"
		"    main() in /src/demo.c:50\n"
		"    __libc_start_call_main() in libc.so.6\n"
		"    ... stack cut: deeper than 3 frames (-s N keeps more)\n"
		"\n"
		"3. #3  137 bytes in 1 block were not free (24%)\n"
		"    1 alloc, 0 frees\n"
		"    demo+0x5000 [8a3f01]\n"
		"    plug\"in.so+0x1234 [8a3f01] (unloaded) (guessed)\n"
		"    ... no unwind data in plug\"in.so: install its debug package or give "
		"--debug-dir\n"
		"\n"
		"HEAP SUMMARY Wed Feb 23 16:31:51 2022\n"
		"\n"
		"    in use: 552 bytes in 56 blocks\n"
		"    total heap usage: 111 allocs, 55 frees, 967 bytes allocated\n"
		"    peak: 552 bytes\n");
}

/* One batch per module, sorted, each offset once, at the call and not behind it. */
static void test_names_are_asked_in_batches(void **state)
{
	struct resolver r = knowing;
	char *text;

	const frame_t stack[] = {frame_of(1, 0x113f) | FRAME_EXACT,
				 frame_of(1, 0x1140) | FRAME_GUESS};

	(void)state;
	case_demo();
	case_stack(stack, 2, WALK_ROOT, 1, 0, 1);
	case_snapshot();
	r.wants = r.waits = 0;
	text = case_report(&r, NULL, &plain);
	free(text);
	assert_int_equal(r.wants, 3);
	assert_int_equal(r.waits, 1);
	assert_int_equal(r.asked_count[1], 4);
	assert_memory_equal(r.asked[1], ((uint64_t[]){0x113f, 0x11ff, 0x12ff, 0x4fff}), 32);
	assert_int_equal(r.asked_count[2], 2);
	assert_memory_equal(r.asked[2], ((uint64_t[]){0x9f00, 0x271c9}), 16);
}

static void test_count_order_and_what_is_left_out(void **state)
{
	struct report_options options = plain;
	char *text;

	(void)state;
	case_demo();
	case_snapshot();
	heap->running = false;
	options.count = 1;
	options.order = SNAPSHOT_BY_BLOCKS;
	text = case_report(NULL, NULL, &options);
	assert_non_null(strstr(text, "Process 16563 (./demo -x), watched for 12.4 s, ended\n"));
	assert_non_null(
		strstr(text, "\n\nWhat 3 call stacks allocated while memtrace watched was not "
			     "freed; the largest\nholds 48%.\n"));
	assert_non_null(strstr(text, "\n1. #2  150 bytes"));
	assert_null(strstr(text, "#1 "));
	assert_non_null(strstr(text, "\n\nand 2 more call stacks, 402 bytes in 6 blocks "
				     "(-n 0 shows all)\n\nHEAP SUMMARY"));
	free(text);
	options.count = 0;
	text = case_report(NULL, NULL, &options);
	assert_non_null(strstr(text, "#3 "));
	assert_null(strstr(text, "more call stack"));
	free(text);
}

static void test_many_equal_stacks(void **state)
{
	char *text;

	(void)state;
	case_demo();
	for (unsigned i = 0; i < 200; i++) {
		const frame_t stack[] = {frame_of(1, 0x2000 + i)};

		case_stack(stack, 1, WALK_ROOT, 1, 0, 200);
	}
	case_snapshot();
	text = case_report(NULL, NULL, &plain);
	assert_non_null(strstr(
		text, "What 203 call stacks allocated while memtrace watched is in use; the "
		      "largest\nholds 0.6%.\n"));
	free(text);
}

static const char *dynamic_symbol(void *arg, const struct snapshot_module *module,
				  uint64_t offset, uint64_t *base)
{
	(void)arg;
	if (module->instance != 2)
		return NULL;
	*base = offset >= 0x27000 && offset < 0x28000 ? 0x27100 : 0x9f00;
	return *base == 0x9f00 ? "malloc" : "__libc_start_call_main";
}

/* Without a resolver, and with one that is lost on the way. */
static void test_names_of_the_target_side(void **state)
{
	const struct report_names names = {.symbol = dynamic_symbol};
	struct resolver lost = {.lost = "memtrace-fs did not answer within 10 s"};
	struct report_options options = plain;
	char *text;

	(void)state;
	case_demo();
	case_snapshot();
	options.context = 1;
	expect_report(NULL, &names, &options,
		      "#1  265 bytes in 5 blocks were not free (48%)\n"
		      "    10 allocs, 5 frees\n"
		      "    530 bytes allocated, at most 265 in use; first 11.40 s ago, last "
		      "11.40 s ago\n"
		      "    malloc()+0x0 in /lib/libc.so.6\n"
		      "    /src/demo+0x1140 [8a3f01]\n"
		      "    /src/demo+0x1200 [8a3f01]\n"
		      "    __libc_start_call_main()+0xca in /lib/libc.so.6\n");
	text = case_report(&lost, &names, &plain);
	assert_non_null(strstr(
		text, "the largest holds\n48%. Names are incomplete: memtrace-fs did not "
		      "answer within 10 s.\n"));
	assert_non_null(strstr(text, "10 allocs, 5 frees\n    demo+0x1140 [8a3f01]\n"));
	assert_non_null(strstr(text, "    __libc_start_call_main() in libc.so.6\n"));
	free(text);
}

/* What a server elsewhere does not know, the one of this machine is asked. */
static void test_local_names(void **state)
{
	struct resolver elsewhere = {.answers = answers, .count = 1}, here = knowing;
	const struct report_names names = {.local = &here};
	char *text, *same;

	(void)state;
	case_demo();
	case_snapshot();
	here.wants = here.waits = 0;
	text = case_report(&elsewhere, &names, &plain);
	same = case_report(&knowing, NULL, &plain);
	assert_string_equal(text, same);
	free(text);
	free(same);
	assert_int_equal(here.waits, 1);
	assert_int_equal(here.asked_count[1], 3); /* all but multimalloc */
	assert_memory_equal(here.asked[1], ((uint64_t[]){0x11ff, 0x12ff, 0x4fff}), 24);
}

static void test_verbose(void **state)
{
	struct report_options options = plain;
	char *text;

	(void)state;
	case_demo();
	case_snapshot();
	strcpy(heap->modules[2].why, "the file was cut off");
	options.verbose = true;
	text = case_report(&knowing, NULL, &options);
	assert_non_null(
		strstr(text, "    malloc() in /lib/libc.so.6+0x9f00\n"
			     "    operator new(unsigned long) in /src/new.h:3 (inlined)\n"
			     "    push() in /src/list.h:9 (inlined)\n"
			     "    ns::List<int, std::less<int> >::insert(std::pair<int const, "
			     "std::vector<int> > const&, int) in /src/list.cc:77\n"));
	assert_non_null(strstr(text,
			       "\nMODULES\n\n"
			       "0x555500000000-0x555500010000 /src/demo\n"
			       "    build-id 8a3f01, unwind data from .eh_frame\n"
			       "    names: its own .symtab\n"
			       "0x7f0000000000-0x7f0000010000 /lib/libc.so.6\n"
			       "    no build-id, unwind data from .eh_frame\n"
			       "0x7f1000000000-0x7f1000010000 /opt/plug\"in.so (unloaded)\n"
			       "    build-id 8a3f01, no stack led there\n"
			       "    the file was cut off\n"
			       "\nHEAP SUMMARY"));
	free(text);
}

/* What is not followed is said, and the sentence claims no more than was watched. */
static void test_not_followed(void **state)
{
	struct report_options options = plain;
	char *text;

	(void)state;
	case_demo();
	case_snapshot();
	heap->missed = calloc(2, sizeof(*heap->missed));
	heap->missed[0] = (struct snapshot_missed){strdup("/opt/a\033.so"), strdup("malloc"),
						   strdup("it is too short")};
	heap->missed[1] =
		(struct snapshot_missed){strdup("/opt/c.so"), NULL, strdup("no room")};
	heap->missed_count = 2;
	text = case_report(&knowing, NULL, &options);
	assert_non_null(strstr(text, "What 3 call stacks allocated by what memtrace followed "
				     "is in use; "));
	assert_non_null(strstr(text,
			       "\nnot followed: malloc in /opt/a\\x1b.so: it is too short\n"
			       "not followed: /opt/c.so: no room\n\n1. #"));
	free(text);
	heap->left_behind = calloc(2, sizeof(*heap->left_behind));
	heap->left_behind[0] = strdup("stubs stay");
	text = case_report(&knowing, NULL, &options);
	assert_non_null(strstr(text, ": no room\nleft behind: stubs stay\n\n1. #"));
	free(text);
	heap->totals = (struct region_totals){0};
	text = case_report(&knowing, NULL, &options);
	assert_non_null(strstr(text, "\nNothing was allocated by what memtrace followed.\n"));
	free(text);
	heap->no_allocator = true;
	text = case_report(&knowing, NULL, &options);
	assert_non_null(strstr(text, "\nNo allocator can be followed: what the process "
				     "allocates is not known.\n"));
	free(text);
}

static void test_growth_is_marked(void **state)
{
	const frame_t stack[] = {MALLOC, MAIN}, none[] = {MAIN}, two[] = {MAIN, MAIN};
	struct report_options options = plain;
	struct snapshot *before;
	char *text;

	(void)state;
	case_stack(stack, 2, WALK_ROOT, 1, 0, 10);
	case_stack(none, 1, WALK_ROOT, 1, 0, 0);
	case_snapshot();
	before = heap;
	case_stack(stack, 2, WALK_ROOT, 2, 0, 8);
	case_stack(none, 1, WALK_ROOT, 2, 0, 0);
	case_stack(two, 2, WALK_ROOT, 1, 0, 1);
	case_snapshot();
	options.before = before;
	text = case_report(&knowing, NULL, &options);
	assert_non_null(strstr(text, "1. #1  26 bytes in 3 blocks were not free (96%)\n"
				     "    3 allocs, 0 frees\n"
				     "    grown by 16 bytes since the last report\n"
				     "    main() in"));
	assert_non_null(
		strstr(text, "3 allocs, 0 frees\n    grown by 2 blocks since the last"));
	assert_non_null(strstr(text, "1 alloc, 0 frees\n    new since the last report\n"));
	free(text);
	options.before = heap;
	text = case_report(&knowing, NULL, &options);
	assert_null(strstr(text, "since the last report"));
	free(text);
	options.before = before;
	before->started.tv_sec--; /* cleared since */
	text = case_report(&knowing, NULL, &options);
	assert_null(strstr(text, "since the last report"));
	free(text);
	snapshot_destroy(before);
}

/* A debug file that does not match is spoken of where names are missing. */
static void test_remarks(void **state)
{
	struct resolver r = knowing;
	char *text = NULL;
	size_t len;
	FILE *out;

	(void)state;
	r.remark = "/dbg/demo: another build";
	case_demo();
	case_snapshot();
	text = case_report(&r, NULL, &plain);
	assert_non_null(
		strstr(text, "48%.\nNames are missing: /dbg/demo: another build\n\n1. #1"));
	free(text);
	out = open_memstream(&text, &len);
	assert_int_equal(report_modules(heap, &r, out), 0);
	fclose(out);
	assert_non_null(strstr(text, "    names: its own .symtab\n"
				     "    not used: /dbg/demo: another build\n0x7f"));
	free(text);
}

/* What comes again and again takes a line; the frames are all there with -v. */
static void test_recursion(void **state)
{
	struct report_options options = plain;
	frame_t frames[64];
	size_t count = 0;
	char *text;

	(void)state;
	frames[count++] = MALLOC;
	frames[count++] = frame_of(1, 0x1300); /* three functions, the first of them new */
	for (size_t i = 0; i < 31; i++)
		frames[count++] = MAIN;
	for (size_t i = 0; i < 4; i++) {
		frames[count++] = frame_of(1, 0x1140);
		frames[count++] = frame_of(1, 0x1300);
	}
	frames[count++] = MAIN;
	frames[count++] = MAIN; /* twice is not often */
	case_stack(frames, count, WALK_ROOT, 1, 0, 8);
	case_snapshot();
	text = case_report(&knowing, NULL, &plain);
	assert_non_null(strstr(
		text,
		"    1 alloc, 0 frees\n"
		"    push() in /src/list.h:9 (inlined)\n"
		"    ns::List<...>::insert(std::pair<...> const&, int) in /src/list.cc:77\n"
		"    main() in /src/demo.c:50 (x31)\n"
		"    multimalloc() in /src/demo.c:28\n"
		"    operator new(unsigned long) in /src/new.h:3 (inlined)\n"
		"    push() in /src/list.h:9 (inlined)\n"
		"    ns::List<...>::insert(std::pair<...> const&, int) in /src/list.cc:77\n"
		"        ... the 4 lines above: x4\n"
		"    main() in /src/demo.c:50\n"
		"    main() in /src/demo.c:50\n"
		"\n"));
	free(text);
	options.context = 1;
	text = case_report(&knowing, NULL, &options);
	assert_null(strstr(text, "(x31)"));
	free(text);
}

static void expect_size(uint64_t bytes, const char *expected)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	print_size_beside(out, bytes);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void expect_percent(uint64_t part, uint64_t whole, const char *expected)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	print_percent(out, part, whole);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void test_numbers(void **state)
{
	(void)state;
	expect_size(0, "");
	expect_size(1023, "");
	expect_size(1024, " (1.0 KiB)");
	expect_size(1048575, " (1023.9 KiB)");
	expect_size(5900667, " (5.6 MiB)");
	expect_size(UINT64_MAX, " (15.9 EiB)");
	expect_percent(0, 5, "0.0%");
	expect_percent(1, 5000, "less than 0.1%");
	expect_percent(32, 1000, "3.2%");
	expect_percent(486, 1000, "48%");
	expect_percent(999999, 1000000, "99.9%");
	expect_percent(UINT64_MAX - 1, UINT64_MAX, "99.9%");
	expect_percent(7, 7, "100%");
	expect_percent(7, 0, "0.0%");
}

static void expect_end(enum walk_end end, const char *expected)
{
	const frame_t stack[] = {frame_of(1, 0x1140), frame_of(2, 0x10 + (unsigned)end)};
	const frame_t nowhere[] = {frame_of(1, 0x1140),
				   frame_of(FRAME_NOWHERE, 0x7f0012345678)};
	struct report_options options = plain;
	char *text;

	case_begin(NULL);
	case_stack(end == WALK_NO_MODULE ? nowhere : stack, 2, end, 1, 0, 8);
	case_snapshot();
	options.depth = end == WALK_DEPTH ? 512 : 64;
	text = case_report(&knowing, NULL, &options);
	if (!strstr(text, expected))
		print_message("%s", text);
	assert_non_null(strstr(text, expected));
	free(text);
	case_end(NULL);
}

static void test_every_end_says_why(void **state)
{
	(void)state;
	expect_end(WALK_ROOT, "    libc.so.6+0x10\n\nHEAP SUMMARY");
	expect_end(WALK_DEPTH, "    ... stack cut: deeper than 512 frames (the maximum)\n");
	expect_end(WALK_NO_DATA,
		   "    ... no unwind data for this function of libc.so.6\n");
	expect_end(WALK_NO_MODULE,
		   "    0x7f0012345678 (in no module)\n"
		   "    ... stack ends in generated code, which has no unwind data\n");
	expect_end(WALK_UNREADABLE,
		   "    ... stack ends here: the memory beyond can't be read\n");
	expect_end(WALK_LOOP, "    ... stack ends here: it is damaged, or the unwind data of "
			      "libc.so.6 is wrong\n");
	expect_end(WALK_LOST, "    ... call stacks that memtrace had no memory to keep\n");
}

static void test_nothing_in_use(void **state)
{
	const frame_t stack[] = {MALLOC};
	struct report_options options = plain;
	char *text;

	(void)state;
	case_snapshot();
	text = case_report(NULL, NULL, &plain);
	assert_non_null(
		strstr(text, "\n\nNothing was allocated while memtrace watched.\n\nHEAP"));
	free(text);
	snapshot_destroy(heap);
	case_stack(stack, 1, WALK_ROOT, 2, 2, 8);
	case_snapshot();
	text = case_report(&knowing, NULL, &plain);
	assert_non_null(strstr(text,
			       "\n\nAll that was allocated while memtrace watched has been "
			       "freed.\n\nHEAP"));
	free(text);
	options.all = true;
	text = case_report(&knowing, NULL, &options);
	assert_non_null(strstr(text,
			       "1. #1  0 bytes in 0 blocks were not free\n"
			       "    2 allocs, 2 frees\n"
			       "    malloc() in libc.so.6\n")); /* all of it is allocator */
	free(text);
	snapshot_destroy(heap);
	case_stack(stack, 1, WALK_ROOT, 1, 0, 1);
	case_snapshot();
	text = case_report(&knowing, NULL, &plain);
	assert_non_null(strstr(text,
			       "\nWhat 1 call stack allocated while memtrace watched is in "
			       "use.\n"));
	assert_non_null(strstr(text, "\n    in use: 1 byte in 1 block\n"));
	free(text);
}

/* Also that nothing can be told yet is said first, but not of a program that has soon ended. */
static void test_too_early(void **state)
{
	const frame_t stack[] = {MALLOC};
	char *text;

	(void)state;
	case_stack(stack, 1, WALK_ROOT, 1, 0, 1);
	case_snapshot();
	heap->verdicts = calloc(1, sizeof(*heap->verdicts));
	heap->verdicts->process = (struct verdict){.word = VERDICT_TOO_EARLY, .seconds = 5};
	text = case_report(NULL, NULL, &plain);
	assert_non_null(strstr(text, "\n\nToo early: 5 s are too short to tell; 60 are needed. "
				     "What 1 call stack"));
	free(text);
	heap->running = false;
	text = case_report(NULL, NULL, &plain);
	assert_non_null(strstr(text, "\n\nWhat 1 call stack"));
	free(text);
}

static void test_what_it_is_sorted_by(void **state)
{
	const frame_t stack[] = {MALLOC};
	struct report_options options = plain;
	char *text;

	(void)state;
	case_stack(stack, 1, WALK_ROOT, 50, 0, 1);
	case_snapshot();
	heap->contexts[1].first_time = heap->ticks_now - 999;
	heap->contexts[1].last_time = heap->ticks_now - 250;
	options.order = SNAPSHOT_BY_AGE;
	text = case_report(NULL, NULL, &options);
	assert_non_null(strstr(text, "\n    50 allocs, 0 frees; the last 2.50 s ago\n"));
	free(text);
	options.order = SNAPSHOT_BY_RATE;
	text = case_report(NULL, NULL, &options);
	assert_non_null(strstr(text, "\n    50 allocs, 0 frees; 5.0 allocs/s since its first\n"));
	free(text);
}

/* A terminal is not commanded by a path or a name. */
static void test_control_characters(void **state)
{
	const frame_t stack[] = {frame_of(1, 0x1140)};
	char *text;

	(void)state;
	case_stack(stack, 1, WALK_ROOT, 1, 0, 8);
	case_snapshot();
	free((char *)heap->modules[0].id.path);
	heap->modules[0].id.path = strdup("/tmp/\x1b[2J\n\xc3\xa4\xff");
	free(heap->command[1]);
	heap->command[1] = strdup("\xc2\x9b\xe2\x80\xae");
	text = case_report(NULL, NULL, &plain);
	assert_non_null(strstr(text, "    \\x1b[2J\\x0a\xc3\xa4\\xff+0x1140 [8a3f01]\n"));
	assert_non_null(strstr(text, "(./demo \\xc2\\x9b\\xe2\\x80\\xae)"));
	free(text);
}

static void test_errors(void **state)
{
	struct report_options options = plain;
	struct err err;
	FILE *full;

	(void)state;
	case_demo();
	case_snapshot();
	options.context = 4;
	assert_int_equal(report_write(heap, NULL, NULL, &options, stdout, &err), -ENOENT);
	assert_string_equal(err.text, "no call stack has the id 4 (there are 1 to 3)");
	full = fopen("/dev/full", "w");
	assert_int_equal(report_write(heap, NULL, NULL, &plain, full, &err), -ENOSPC);
	assert_string_equal(err.text, "the report can't be written: No space left on device");
	fclose(full);
	full = fopen("/dev/full", "w");
	setvbuf(full, NULL, _IONBF, 0);
	options = plain;
	options.format = REPORT_JSON;
	assert_int_equal(report_write(heap, NULL, NULL, &options, full, &err), -ENOSPC);
	assert_int_equal(report_status(heap, full), -ENOSPC);
	fclose(full);
}

static void test_status(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	case_snapshot();
	heap->totals = (struct region_totals){.allocs = 205,
					      .frees = 205,
					      .allocated_bytes = 51885,
					      .freed_bytes = 51885,
					      .peak_bytes = 51200};
	assert_int_equal(report_status(heap, out), 0);
	heap->totals.frees_of_unknown = 12;
	heap->totals.lost_events = 3;
	heap->totals.overflow_blocks = 7;
	heap->taken.tv_sec += 7 * 86400; /* a day of one digit */
	assert_int_equal(report_status(heap, out), 0);
	fclose(out);
	assert_string_equal(
		text, "HEAP SUMMARY Wed Feb 23 16:31:51 2022\n"
		      "\n"
		      "    in use: 0 bytes in 0 blocks\n"
		      "    total heap usage: 205 allocs, 205 frees, 51885 bytes allocated\n"
		      "    peak: 51200 bytes (50.0 KiB)\n"
		      "HEAP SUMMARY Wed Mar  2 16:31:51 2022\n"
		      "\n"
		      "    in use: 0 bytes in 0 blocks\n"
		      "    total heap usage: 205 allocs, 205 frees, 51885 bytes allocated\n"
		      "    peak: 51200 bytes (50.0 KiB)\n"
		      "    freed, allocated before counting began: 12 blocks\n"
		      "    lost events: 3 (the counts above are not exact)\n"
		      "    not counted, memtrace had no memory: 7 blocks\n");
	free(text);
}

static void test_threads(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	case_snapshot();
	heap->thread_count = 2;
	heap->threads = calloc(2, sizeof(*heap->threads));
	heap->threads[0] = (struct snapshot_thread){16563, "demo", "running", 205, 100};
	heap->threads[1] = (struct snapshot_thread){16564, "w\x1b", "stopped (SIGTSTP)", 0, 1};
	assert_int_equal(report_threads(heap, out), 0);
	fclose(out);
	assert_string_equal(
		text,
		"       tid      allocs       frees  name             state\n"
		"     16563         205         100  demo             running\n"
		"     16564           0           1  w\\x1b            stopped (SIGTSTP)\n");
	free(text);
}

static void test_which_frames_are_allocators(void **state)
{
	static const char *const yes[] = {
		"malloc",
		"__libc_malloc",
		"__GI___libc_malloc",
		"_int_malloc.part.0",
		"calloc",
		"reallocarray",
		"posix_memalign",
		"__strdup",
		"__GI___strndup",
		"__asprintf_chk",
		"_IO_getdelim",
		"getline",
		"malloc@plt",
		"je_malloc",
		"mi_calloc",
		"operator new(unsigned long)",
		"operator new[](unsigned long, std::nothrow_t const&)",
		"_Znwm",
		"_ZnamSt11align_val_t",
		"std::allocator<int>::allocate(unsigned long)",
		"std::vector<int, std::allocator<int> >::push_back(int const&)",
		"std::getline",
		"void std::vector<a::b>::_M_realloc_insert<a::b>(a::b&&)",
		"std::_MakeUniq<a>::__single_object std::make_unique<a, int (*)(int)>(int "
		"(*&&)(int))",
		"unsigned long* std::f(int)",
		"decltype (x(y)) std::__invoke<a>(a)",
		"std::__cxx11::basic_string<char>::operator=(char const*)",
		"_ZNSt6vectorIiSaIiEE9push_backERKi",
		"_ZNSt7__cxx1112basic_stringIcE9_M_createERmm",
		"__cxa_allocate_exception",
		"std::allocator_traits<std::allocator<int> >::allocate(std::allocator<int>&, "
		"unsigned long)",
		"__gnu_cxx::new_allocator<int>::allocate(unsigned long, void const*)",
		"__rust_alloc",
		"alloc::alloc::alloc",
	};
	static const char *const no[] = {
		"xmalloc",
		"main",
		"my_malloc",
		"malloc_trim",
		"g_malloc",
		"std::vector<int> a::make(std::vector<int>)",
		"std::ostream& operator<<(std::ostream&, a const&)",
		"a::operator std::string() const",
		"(anonymous namespace)::f(std::string)",
		"a::f(int (*)(int), std::string)",
		"int a::f<std::string>(std::string)",
		"stdx::f()",
		"main::{lambda(std::string)#1}::operator()(std::string) const",
		"void (*)(",
		"<<<",
		"",
		"strdupa",
		"a_function_name_that_is_longer_than_any_allocator_function",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (!fold_is_allocator(yes[i]))
			fail_msg("%s is an allocator", yes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (fold_is_allocator(no[i]))
			fail_msg("%s is no allocator", no[i]);
	assert_false(fold_is_allocator(NULL));
}

static void expect_fold(const char *name, size_t columns, const char *expected)
{
	char *text = fold_name(name, columns);

	assert_string_equal(text, expected);
	free(text);
}

static void test_long_names(void **state)
{
	(void)state;
	expect_fold("a<b, c, d>::e", 13, "a<b, c, d>::e");
	expect_fold("a<b, c, d>::e", 12, "a<...>::e");
	expect_fold("f<g<h>, i<j> >(k<lmnop>)", 20, "f<...>(k<...>)");
	expect_fold("f<g<h>, i<j> >(k<lmnop>)", 10, "f<...>(...)");
	expect_fold("(anonymous namespace)::f(int, int)", 10, "(anonymous namespace)::f(...)");
	expect_fold("(anonymous namespace)::variable", 10, "(anonymous namespace)::variable");
	expect_fold("A::operator<<(B<int, int> const&)", 10, "A::operator<<(...)");
	expect_fold("A::operator<(long long int)", 10, "A::operator<(...)");
	expect_fold("A<int, int>::operator()(long, long) const", 10,
		    "A<...>::operator()(...) const");
	expect_fold("A<decltype(x->y)>::f", 10, "A<...>::f");
	expect_fold("<alloc::Vec<T, A> as core::Iter<T>>::from", 10,
		    "<alloc::Vec<...> as core::Iter<T>>::from");
	expect_fold("broken<a, b, <<<<c", 4, "broken<a, b, <<<<c");
	expect_fold("broken(a, b", 4, "broken(a, b");
	expect_fold("", 0, "");
}

static void test_utf8(void **state)
{
	uint32_t code = 1;

	(void)state;
	assert_int_equal(utf8_next("", &code), 0);
	assert_int_equal(utf8_next("a", &code), 1);
	assert_int_equal(utf8_next("\xc3\xa4", &code), 2);
	assert_int_equal(code, 0xe4);
	assert_int_equal(utf8_next("\xe2\x82\xac", &code), 3);
	assert_int_equal(code, 0x20ac);
	assert_int_equal(utf8_next("\xf0\x9f\x98\x80", &code), 4);
	assert_int_equal(code, 0x1f600);
	assert_int_equal(utf8_next("\xc0\x80", &code), 0);	   /* not the shortest */
	assert_int_equal(utf8_next("\xe0\x80\x80", &code), 0);	   /* not the shortest */
	assert_int_equal(utf8_next("\xed\xa0\x80", &code), 0);	   /* a surrogate */
	assert_int_equal(utf8_next("\xf4\x90\x80\x80", &code), 0); /* beyond the last */
	assert_int_equal(utf8_next("\xe2\x82", &code), 0);	   /* cut */
	assert_int_equal(utf8_next("\x80", &code), 0);
	assert_int_equal(utf8_columns("a\xc3\xa4\n"), 6);
	assert_true(utf8_is_control(0x1b) && utf8_is_control(0x9b) && utf8_is_control(0x202e));
	assert_true(utf8_is_control(0x2066) && utf8_is_control(0x200f) &&
		    utf8_is_control(0xe0001));
	assert_false(utf8_is_control(' ') || utf8_is_control(0xe4) || utf8_is_control(0x20ac));
	assert_false(utf8_is_control(0x1f600) || utf8_is_control(0xe0080));
}

/* 100 000 call stacks of 20 frames, 1 000 000 live blocks. */
static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double time_report(unsigned count, enum report_format format)
{
	struct report_options options = plain;
	double start = seconds();
	FILE *out = fopen("/dev/null", "w");

	options.count = count;
	options.format = format;
	assert_int_equal(report_write(heap, &knowing, NULL, &options, out, NULL), 0);
	fclose(out);
	return seconds() - start;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The snapshot as a file, without names: its size, and that it says the same when it is read.
 */
static void check_file(void)
{
	struct snapshot_file *file;
	char *bytes = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&bytes, &len);
	double write = cpu_seconds(), read;

	assert_int_equal(snapshot_file_write(heap, NULL, "0", 64, out, NULL), 0);
	fclose(out);
	write = cpu_seconds() - write;
	read = cpu_seconds();
	assert_int_equal(snapshot_file_parse((uint8_t *)bytes, len, &file, NULL), 0);
	read = cpu_seconds() - read;
	assert_true(len < 12u << 20);
	assert_int_equal(file->snapshot->context_count, heap->context_count);
	assert_memory_equal(file->snapshot->contexts, heap->contexts,
			    heap->context_count * sizeof(*heap->contexts));
	if (getenv("REPORT_FIGURES"))
		printf("snapshot file: %.2f MB of %u nodes; written in %.2f s, read in %.2f s "
		       "of "
		       "CPU time\n",
		       (double)len / 1e6, heap->node_count, write, read);
	snapshot_file_destroy(file);
	free(bytes);
}

/* How many bytes of JSON all of it is, each call stack with a verdict, a tenth of them `leaks`. */
static long json_bytes(void)
{
	const struct verdict leak = {.word = VERDICT_LEAKS,
				     .kept = 30,
				     .generations = 30,
				     .alive = 3,
				     .born = 100,
				     .per_hour = 41e3,
				     .lowest = 38e3,
				     .highest = 44e3,
				     .seconds = 600};
	const struct verdict early = {.word = VERDICT_TOO_EARLY, .generations = 3, .born = 12};
	struct report_options options = plain;
	FILE *out = tmpfile();
	long bytes;

	heap->verdicts = calloc(1, sizeof(*heap->verdicts));
	heap->verdicts->at = calloc(heap->context_count, sizeof(*heap->verdicts->at));
	heap->verdicts->count = heap->context_count;
	for (uint32_t i = 0; i < heap->context_count; i++)
		heap->verdicts->at[i] = i % 10 ? early : leak;
	options.count = 0;
	options.format = REPORT_JSON;
	assert_int_equal(report_write(heap, &knowing, NULL, &options, out, NULL), 0);
	bytes = ftell(out);
	fclose(out);
	return bytes;
}

static void test_large(void **state)
{
	long json;
	frame_t stack[20];
	double start = seconds(), snap;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		for (unsigned k = 0; k < 20; k++)
			stack[k] = frame_of(1 + k % 2,
					    0x2000 + (k < 6 ? (i >> (2 * k)) % 6000 * 32 : 32) + k);
		case_stack(stack, 20, WALK_ROOT, 10, 0, i);
	}
	assert_int_equal(region_totals(region)->live_blocks, 1000000);
	start = seconds() - start;
	snap = seconds();
	case_snapshot();
	snap = seconds() - snap;
	assert_int_equal(heap->context_count, 100001);
	check_file();
	json = json_bytes();
	assert_true(json < 40000000);
	if (getenv("REPORT_FIGURES"))
		printf("json: %.2f MB\n", (double)json / 1e6);
	if (getenv("REPORT_FIGURES"))
		printf("record %.2f s, %u nodes; snapshot %.0f ms; 10 as text %.2f s, as json "
		       "%.2f s; "
		       "all as text %.2f s, as json %.2f s\n",
		       start, heap->node_count, 1e3 * snap, time_report(10, REPORT_TEXT),
		       time_report(10, REPORT_JSON), time_report(0, REPORT_TEXT),
		       time_report(0, REPORT_JSON));
	else
		assert_true(time_report(0, REPORT_TEXT) < 60);
}

/* What recurs is what reads the same, and nothing else. */
static void test_look_the_same(void **state)
{
	struct snapshot_module libc = {.mapped = true, .id.path = "/lib/libc.so"},
			       copy = {.mapped = true, .id.path = "/opt/libc.so"},
			       gone = {.id.path = "/lib/libc.so"};
	const struct names_line line = {.frame = frame_of(1, 0x10),
					.module = &libc,
					.name = {.function = "f", .file = "a.c", .line = 3}};
	struct names_line other = line;

	(void)state;
	other.frame = frame_of(1, 0x20);
	assert_true(frames_look_same(&line, &other)); /* which of its calls is not shown */
	other.module = &copy;
	assert_true(frames_look_same(&line, &other)); /* nor is the directory */
	other.module = &gone;
	assert_false(frames_look_same(&line, &other));
	other.module = NULL;
	assert_false(frames_look_same(&line, &other));
	other = line;
	other.frame |= FRAME_GUESS;
	assert_false(frames_look_same(&line, &other));
	other = line;
	other.name.line = 4;
	assert_false(frames_look_same(&line, &other));
	other = line;
	other.name.file = NULL;
	assert_false(frames_look_same(&line, &other));
	other = line;
	other.name.inlined = true;
	assert_false(frames_look_same(&line, &other));
	other = line;
	other.name.function = "g";
	assert_false(frames_look_same(&line, &other));
	other.name.function = NULL;
	assert_false(frames_look_same(&line, &other));
}

/* Two addresses without a name are two. */
static void test_nameless_are_not_the_same(void **state)
{
	struct snapshot_module libc = {.mapped = true, .id.path = "/lib/libc.so"};
	const struct names_line line = {.frame = frame_of(1, 0x10), .module = &libc};
	struct names_line other = line;

	(void)state;
	assert_true(frames_look_same(&line, &other));
	other.frame = frame_of(1, 0x20);
	assert_false(frames_look_same(&line, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole_report, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_names_are_asked_in_batches, case_begin,
						case_end),
		cmocka_unit_test_setup_teardown(test_many_equal_stacks, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_count_order_and_what_is_left_out,
						case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_names_of_the_target_side, case_begin,
						case_end),
		cmocka_unit_test_setup_teardown(test_local_names, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_verbose, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_not_followed, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_growth_is_marked, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_remarks, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_recursion, case_begin, case_end),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_every_end_says_why),
		cmocka_unit_test_setup_teardown(test_nothing_in_use, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_too_early, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_what_it_is_sorted_by, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_control_characters, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_errors, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_status, case_begin, case_end),
		cmocka_unit_test_setup_teardown(test_threads, case_begin, case_end),
		cmocka_unit_test(test_which_frames_are_allocators),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test_setup_teardown(test_large, case_begin, case_end),
		cmocka_unit_test(test_look_the_same),
		cmocka_unit_test(test_nameless_are_not_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
