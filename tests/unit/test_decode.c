/* Reports without names, and the names put in: what may have become of them on the way. */
#include "report_case.h"

#include "report/decode_parts.h"

static const struct report_options decodable = {
	.count = 10, .depth = 3, .version = "0.1.0", .decodable = true};

/* What decode_report() makes of the report, to be freed; its error in *err. */
static char *decoded(const char *report, int *e, struct err *err)
{
	FILE *in = fmemopen((void *)report, strlen(report), "r"), *out;
	char *text = NULL;
	size_t len;

	out = open_memstream(&text, &len);
	*e = decode_report(in, &knowing, NULL, NULL, out, err);
	fclose(out);
	fclose(in);
	return text;
}

/* clang-format off: the expected text stands as it is written */
static const char undecoded[] =
	"Process 16563 (./demo -x), watched for 12.4 s\n"
	"\n"
	"What 3 call stacks allocated while memtrace watched is in use; the largest holds\n"
	"48%.\n"
	"\n"
	"1. #1  265 bytes in 5 blocks were not free (48%)\n"
	"    10 allocs, 5 frees\n"
	"    /lib/libc.so.6+0x9f00 (exact)\n"
	"    /src/demo+0x1140 [8a3f01]\n"
	"    /src/demo+0x1200 [8a3f01]\n"
	"    /lib/libc.so.6+0x271ca\n"
	"\n"
	"2. #2  150 bytes in 50 blocks were not free (27%)\n"
	"    100 allocs, 50 frees\n"
	"    /lib/libc.so.6+0x9f00 (exact)\n"
	"    /src/demo+0x1300 [8a3f01]\n"
	"    /src/demo+0x1200 [8a3f01]\n"
	"    /lib/libc.so.6+0x271ca\n"
	"    ... stack cut: deeper than 3 frames (-s N keeps more)\n"
	"\n"
	"3. #3  137 bytes in 1 block were not free (24%)\n"
	"    1 alloc, 0 frees\n"
	"    /lib/libc.so.6+0x9f00 (exact)\n"
	"    /src/demo+0x5000 [8a3f01]\n"
	"    /opt/plug\"in.so+0x1234 [8a3f01] (unloaded) (guessed)\n"
	"    ... no unwind data in plug\"in.so: install its debug package or give "
	"--debug-dir\n"
	"\n"
	"MODULES (report version 2: memtrace-fs --report puts the names in)\n"
	"\n"
	"/src/demo\n"
	"    build-id 8a3f01\n"
	"/lib/libc.so.6\n"
	"    fingerprint 5c0a debuglink 01020304 \\x1b]0;title\\x07\\x0a/lib/x\\xff\n"
	"/opt/plug\"in.so (unloaded)\n"
	"    build-id 8a3f01\n"
	"\n"
	"HEAP SUMMARY Wed Feb 23 16:31:51 2022\n"
	"\n"
	"    in use: 552 bytes in 56 blocks\n"
	"    total heap usage: 111 allocs, 55 frees, 967 bytes allocated\n"
	"    peak: 552 bytes\n";
/* clang-format on */

/* The name in .gnu_debuglink is the file's own word: it commands no terminal, and begins no
 * line. */
static void test_text(void **state)
{
	struct err err;
	char *text;
	int e;

	(void)state;
	case_demo();
	case_snapshot();
	memcpy(heap->modules[1].id.fingerprint, "\x5c\x0a", 2);
	heap->modules[1].id.fingerprint_len = 2;
	heap->modules[1].id.debuglink_crc = 0x1020304;
	strcpy(heap->modules[1].id.debuglink, "\x1b]0;title\a\n/lib/x\xff");
	expect_report(NULL, NULL, &decodable, undecoded);
	text = decoded(undecoded, &e, &err);
	assert_int_equal(e, 0);
	assert_non_null(strstr(text, "2. #2  150 bytes in 50 blocks were not free (27%)\n"
				     "    100 allocs, 50 frees\n"
				     "    push() in /src/list.h:9 (inlined)\n"));
	assert_null(strstr(text, "MODULES"));
	free(text);
}

/* As the first version was written. */
static void test_first_version(void **state)
{
	static const char report[] =
		"Process 16563 (./demo -x), watched for 12.4 s\n"
		"\n"
		"#1  265 bytes in 5 blocks were not free (10 allocs, 5 frees)\n"
		"    /lib/libc.so.6+0x9f00 (exact)\n"
		"    /src/demo+0x1140 [8a3f01]\n"
		"\n"
		"MODULES (report version 1: memtrace-fs --report puts the names in)\n"
		"\n"
		"/src/demo\n"
		"    build-id 8a3f01\n"
		"/lib/libc.so.6\n"
		"    fingerprint 5c0a\n"
		"\n"
		"HEAP SUMMARY Wed Feb 23 16:31:51 2022\n";
	struct err err;
	char *text;
	int e;

	(void)state;
	text = decoded(report, &e, &err);
	assert_int_equal(e, 0);
	assert_string_equal(text,
			    "Process 16563 (./demo -x), watched for 12.4 s\n"
			    "\n"
			    "#1  265 bytes in 5 blocks were not free (10 allocs, 5 frees)\n"
			    "    multimalloc() in /src/demo.c:28\n"
			    "\n"
			    "HEAP SUMMARY Wed Feb 23 16:31:51 2022\n");
	free(text);
}

/* A report may be anybody's: what is copied of it commands no terminal. */
static void test_hostile(void **state)
{
	static const char report[] = "Process 1 (\x1b[2J\a\xe2\x80\xae\xff\xc3\xa4)\n"
				     "\n"
				     "MODULES (report version 2: ...)\n"
				     "\n"
				     "/src/demo\n"
				     "    build-id 8a3f01\n";
	static const char json[] = "{\"version\": 1, \"a\x1b\": \"\a\\\xe2\x80\xae\xff\xc3\xa4"
				   "\xf3\xa0\x80\x81\", \"modules\": [{\"path\": \"/x\x7f\"}]}";
	struct err err;
	char *text;
	int e;

	(void)state;
	text = decoded(report, &e, &err);
	assert_int_equal(e, 0);
	assert_string_equal(text, "Process 1 (\\x1b[2J\\x07\\xe2\\x80\\xae\\xff\xc3\xa4)\n");
	free(text);
	text = decoded(json, &e, &err);
	assert_int_equal(e, 0);
	assert_string_equal(
		text, "{\n"
		      "  \"version\": 1,\n"
		      "  \"a\\u001b\": \"\\u0007\\\\u202e\\ufffd\xc3\xa4\\udb40\\udc01\",\n"
		      "  \"modules\": [\n"
		      "    {\"path\": \"/x\\u007f\"}]\n"
		      "}\n");
	free(text);
}

/* The section of modules is announced, and then there is no more: the disk was full, or
 * somebody has cut it. */
static void test_cut_behind_the_title(void **state)
{
	static const char *const report[] = {"#1  8 bytes in 1 blocks",
					     "    0x10 (in no module)", "",
					     DECODE_SECTION "1: ...)"};
	struct decode decode = {};
	struct err err;
	int e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(report); i++) {
		struct decode_line line = {.text = strdup(report[i])};
		assert_true(vec_push(&decode.lines, line));
	}
	assert_true(vec_reserve(&decode.lines, decode.lines.len + 1));
	decode.lines.at[decode.lines.len] = (struct decode_line){.kind = DECODE_PLAIN};
	assert_true(decode_text(&decode));
	assert_int_equal(decode.lines.at[1].kind, DECODE_FRAME);
	assert_int_equal(decode.lines.at[2].kind, DECODE_DROPPED);
	assert_int_equal(decode.lines.at[3].kind, DECODE_DROPPED);
	assert_int_equal(decode.lines.at[4].kind, DECODE_PLAIN); /* not ours */
	for (size_t i = 0; i < decode.lines.len; i++)
		free(decode.lines.at[i].text);
	vec_deinit(&decode.lines);

	free(decoded("\n\n\n\n\n\n\n" DECODE_SECTION "1: ...)\n", &e, &err));
	assert_int_equal(e, -EINVAL);
	assert_string_equal(err.text,
			    "no report of memtrace without names: it says nothing of modules");
}

/* A JSON report whose module has this member, decoded. */
static void expect_member(const char *member, const char *expected)
{
	static const char begin[] = "{\n  \"version\": 1,\n  \"modules\": [\n"
				    "    {\"path\": \"/src/demo\", ";
	char report[300], wanted[300];
	struct err err;
	char *text;
	int e;

	snprintf(report, sizeof(report), "%s%s}]\n}\n", begin, member);
	snprintf(wanted, sizeof(wanted), "%s%s}]\n}\n", begin, expected);
	text = decoded(report, &e, &err);
	assert_int_equal(e, 0);
	assert_string_equal(text, wanted);
	free(text);
}

/* Any value makes way for where the names are from, and what follows it stays. */
static void test_symbols_from(void **state)
{
	static const char *const values[] = {
		"null",	 "\"dynamic symbols\"", "1",	     "\"\"",
		"false", "\"a\\\"b, }\"",	"\"a\\\\\"", "\"\\u0022\\\\\\\"\"",
	};
	char report[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		snprintf(report, sizeof(report), "\"symbols_from\": %s", values[i]);
		expect_member(report, "\"symbols_from\": \"its own .symtab\"");
		snprintf(report, sizeof(report), "\"symbols_from\": %s, \"unwind_from\": null",
			 values[i]);
		expect_member(report,
			      "\"symbols_from\": \"its own .symtab\", \"unwind_from\": null");
	}
	expect_member("\"unwind_from\": 1", "\"unwind_from\": 1");
	/* no value of ours */
	expect_member("\"symbols_from\": {\"a\": 1}", "\"symbols_from\": {\"a\": 1}");
	expect_member("\"symbols_from\": [1, 2]", "\"symbols_from\": [1, 2]");
}

static ssize_t read_endless(void *arg, char *buf, size_t len)
{
	size_t *left = arg;
	size_t n = len < *left ? len : *left;

	memset(buf, 'a', n);
	*left -= n;
	return (ssize_t)n;
}

/* A line without an end is refused before it fills the memory. */
static void test_endless_line(void **state)
{
	enum { LONG = 64 << 20 };
	size_t left = LONG;
	FILE *in = fopencookie(&left, "r", (cookie_io_functions_t){.read = read_endless});
	struct err err;

	(void)state;
	assert_int_equal(decode_report(in, &knowing, NULL, NULL, stdout, &err), -EINVAL);
	assert_string_equal(err.text, "this is no report of memtrace");
	assert_true(LONG - left < 2 << 20);
	fclose(in);
}

/* What a list of COUNT modules /m0, /m1 ... is decoded to, with one frame of the last one and
 * one of /m5. */
enum { COUNT = FRAME_INSTANCES + 5 };

static void expect_last_frame_left(struct decode *decode)
{
	size_t found = 0;

	assert_int_equal(decode->modules.len, FRAME_INSTANCES - 1);
	for (size_t i = 0; i < decode->lines.len; i++) {
		struct decode_line *line = &decode->lines.at[i];

		if (line->kind == DECODE_FRAME) {
			assert_int_equal(line->frame, frame_of(6, 0x10));
			found++;
		}
		free(line->text);
		free(line->function);
	}
	assert_int_equal(found, 1);
	for (size_t i = 0; i < decode->modules.len; i++)
		module_id_deinit(&decode->modules.at[i].id);
	vec_deinit(&decode->modules);
	vec_deinit(&decode->lines);
}

/* No module gets another one's number, nor does its number become a mark of the frame. */
static void test_more_modules_than_numbers(void **state)
{
	struct decode text = {}, json = {};
	struct err err;
	char *report;
	size_t len;
	FILE *out = open_memstream(&report, &len);

	(void)state;
	fprintf(out, "#1  8 bytes\n    /m%d+0x10\n    /m5+0x10\n\n" DECODE_SECTION "1: x)\n\n",
		COUNT - 1);
	for (int i = 0; i < COUNT; i++)
		fprintf(out, "/m%d\n    build-id 01\n", i);
	fclose(out);
	for (char *rest = report, *at; (at = strsep(&rest, "\n"));) {
		struct decode_line line = {.text = strdup(at)};
		assert_true(vec_push(&text.lines, line));
	}
	assert_true(decode_text(&text));
	expect_last_frame_left(&text);
	free(report);

	out = open_memstream(&report, &len);
	fprintf(out,
		"{\"contexts\": [{\"stack\": ["
		"{\"pc\": \"0x10\", \"module\": \"/m%d\", \"offset\": \"0x10\"}, "
		"{\"pc\": \"0x10\", \"module\": \"/m5\", \"offset\": \"0x10\"}]}], "
		"\"modules\": [{\"path\": \"/m0\"}",
		COUNT - 1);
	for (int i = 1; i < COUNT; i++)
		fprintf(out, ", {\"path\": \"/m%d\"}", i);
	fprintf(out, "]}");
	fclose(out);
	assert_int_equal(decode_json(&json, report, &err), 0);
	expect_last_frame_left(&json);
	free(report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_text, case_begin, case_end),
		cmocka_unit_test(test_first_version),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_cut_behind_the_title),
		cmocka_unit_test(test_symbols_from),
		cmocka_unit_test(test_endless_line),
		cmocka_unit_test(test_more_modules_than_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
