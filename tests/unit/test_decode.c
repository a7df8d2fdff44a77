/* Reports without names, and the names put in: what may have become of them on the way. */
#include "report_case.h"

#include "report/decode_parts.h"

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

/* A report may be anybody's: what is copied of it commands no terminal. */
static void test_hostile(void **state)
{
	static const char json[] = "{\"version\": 1, \"a\x1b\": \"\a\\\xe2\x80\xae\xff\xc3\xa4"
				   "\xf3\xa0\x80\x81\", \"modules\": [{\"path\": \"/x\x7f\"}]}";
	struct err err;
	char *text;
	int e;

	(void)state;
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

/* What is no JSON is said to be none, with what to do about it. */
static void test_text(void **state)
{
	static const char report[] = "Process 1 (x), watched for 1.0 s\n";
	struct err err;
	int e;

	(void)state;
	free(decoded(report, &e, &err));
	assert_int_equal(e, -EINVAL);
	assert_string_equal(err.text, "this is no report of memtrace: no JSON at byte 0");
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
	struct decode json = {};
	struct err err;
	char *report;
	size_t len;
	FILE *out = open_memstream(&report, &len);

	(void)state;
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

/* Of a JSON report, with names or without, the text and the JSON of the process can be made. */
static void test_values(void **state)
{
	const struct report_options text = {.count = 2, .depth = 3, .version = "0.1.0"};
	struct report_options json = {
		.format = REPORT_JSON, .count = 2, .depth = 3, .version = "0.1.0"};
	char *expected_text, *expected_json;

	(void)state;
	case_demo();
	case_snapshot();
	heap->modules[2].mapped = true;
	heap->started.tv_nsec = 120000000; /* JSON has hundredths */
	heap->taken.tv_nsec = 0;
	heap->ticks_now = 1188;
	heap->resident_at_start = 4096;
	heap->contexts[1].last_time = 713;
	heap->threads = calloc(1, sizeof(*heap->threads));
	heap->thread_count = 1;
	heap->threads[0] = (struct snapshot_thread){7, "a, \"b\"", "running", 5, 6};
	heap->missed = calloc(2, sizeof(*heap->missed));
	heap->missed_count = 2;
	heap->missed[0] = (struct snapshot_missed){strdup("/a]"), strdup("f"), strdup("x}")};
	heap->missed[1] = (struct snapshot_missed){strdup("/b"), NULL, strdup("unknown")};
	heap->verdicts = calloc(1, sizeof(*heap->verdicts));
	heap->verdicts->at = calloc(heap->context_count, sizeof(*heap->verdicts->at));
	heap->verdicts->count = heap->context_count;
	heap->verdicts->process = (struct verdict){.word = VERDICT_GROWS, .contexts = 1, .per_hour = 9, .lowest = -2,
		.highest = 12};
	heap->verdicts->at[1] = (struct verdict){.word = VERDICT_GROWS, .per_hour = 9, .lowest = 8, .highest = 11};
	heap->verdicts->at[2] = (struct verdict){.word = VERDICT_CACHE, .age = 7};
	expected_text = case_report(&knowing, NULL, &text);
	assert_non_null(strstr(expected_text, "Grows: 1 call stack, 9 bytes an hour"));
	assert_non_null(strstr(expected_text, "    cache: hardly a block is older than 7 s\n"));
	expected_json = case_report(&knowing, NULL, &json);
	assert_non_null(strstr(expected_json, "\n  \"bytes_per_hour\": 9,\n  \"bytes_per_hour_range\": [-2, 12],\n"));
	assert_non_null(strstr(expected_json, ",\"bytes_per_hour\":9,\"bytes_per_hour_range\":[8,11],\"verdict\""));
	for (int with_names = 0; with_names < 2; with_names++) {
		struct report_names known = {0};
		struct report_options how;
		struct snapshot *live = heap;
		struct decoded decoded;
		struct err err;
		char *written, *made;
		FILE *in;

		json.decodable = !with_names;
		written = case_report(with_names ? &knowing : NULL, NULL, &json);
		in = fmemopen(written, strlen(written), "r");
		assert_int_equal(decode_read(in, &decoded, &err), 0);
		fclose(in);
		known.known = &decoded.names;
		heap = decoded.snapshot;
		how = json;
		how.decodable = false;
		how.left_out = decoded.left_out;
		expect_report(with_names ? NULL : &knowing, &known, &how, expected_json);
		how.format = REPORT_TEXT;
		made = case_report(with_names ? NULL : &knowing, &known, &how);
		*strstr(expected_text, "\nand 1 more") = '\0'; /* what -n 0 would not show */
		assert_non_null(
			strstr(made, "\nand 1 more call stack, 137 bytes in 1 block\n"));
		*strstr(made, "\nand 1 more") = '\0';
		assert_string_equal(made, expected_text);
		expected_text[strlen(expected_text)] = '\n';
		free(made);
		heap = live;
		decoded_deinit(&decoded);
		free(written);
	}
	free(expected_text);
	free(expected_json);
}

static void test_rates(void **state)
{
	static const struct {
		const char *line;
		double per_hour, lowest, highest;
	} lines[] = {
		{"\"bytes_per_hour\": 9, \"bytes_per_hour_range\": [-2, 12]", 9, -2, 12},
		{"\"bytes_per_hour\": nan, \"bytes_per_hour_range\": [-nan, inf]", 0, 0, 0},
		{"\"bytes_per_hour\": 1e400, \"bytes_per_hour_range\": [-1e300, 1e300]", 0, 0, 0},
		{"\"bytes_per_hour\": -9, \"bytes_per_hour_range\": [4", 0, 4, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct decoded to = {0};
		struct verdict verdict = {0};
		bool no_memory = false;

		decode_verdict(&to, lines[i].line, &verdict, &no_memory);
		assert_true(verdict.per_hour == lines[i].per_hour);
		assert_true(verdict.lowest == lines[i].lowest);
		assert_true(verdict.highest == lines[i].highest);
	}
}

/* A report as memtraces wrote it until version 1, with its frames in its stacks. */
static const char version_1[] =
	"{\n  \"memtrace\": \"0.1.0\",\n  \"version\": 1,\n  \"pid\": 7,\n"
	"  \"time\": \"2022-02-23T16:31:51Z\",\n"
	"  \"started\": \"2022-02-23T16:31:39.10Z\",\n  \"duration\": 12.40,\n"
	"  \"summary\": {\"in_use_bytes\": 150, \"in_use_blocks\": 50, \"allocs\": 100, "
	"\"frees\": 50, \"allocated_bytes\": 300, \"peak_bytes\": 150},\n"
	"  \"contexts\": [\n"
	"    {\"id\": 2, \"in_use_bytes\": 150, \"in_use_blocks\": 50, \"allocs\": 100, "
	"\"frees\": 50, \"allocated_bytes\": 300, \"peak_bytes\": 150, "
	"\"first_time\": \"2022-02-23T16:31:41.10Z\", \"last_time\": "
	"\"2022-02-23T16:31:41.10Z\",\n"
	"     \"stack\": [\n"
	"      {\"pc\": \"0x555500001300\", \"module\": \"/src/demo\", \"offset\": "
	"\"0x1300\", \"build_id\": \"8a3f01\", \"function\": \"was_inlined\", \"file\": "
	"\"/a.h\", \"line\": 9, \"inlined\": true},\n"
	"      {\"pc\": \"0x555500001300\", \"module\": \"/src/demo\", \"offset\": "
	"\"0x1300\", \"build_id\": \"8a3f01\", \"function\": \"f\", \"file\": \"/a.c\", "
	"\"line\": 77, \"inlined\": false},\n"
	"      {\"pc\": \"0x10\", \"module\": null, \"offset\": null, \"build_id\": null, "
	"\"function\": null, \"file\": null, \"line\": null, \"inlined\": false}],\n"
	"     \"stack_end\": \"depth\"}],\n"
	"  \"modules\": [\n"
	"    {\"path\": \"/src/demo\", \"build_id\": \"8a3f01\", \"begin\": "
	"\"0x555500000000\", \"end\": \"0x555500010000\", \"symbols_from\": null, "
	"\"unwind_from\": null}]\n"
	"}\n";

/* It gets names in its own form ... */
static void test_version_1_with_names(void **state)
{
	struct err err;
	char *text;
	int e;

	(void)state;
	text = decoded(version_1, &e, &err);
	assert_int_equal(e, 0);
	assert_non_null(strstr(text, "  \"version\": 1,\n"));
	assert_null(strstr(text, "was_inlined"));
	assert_non_null(strstr(
		text, "     \"stack\": [\n"
		      "      {\"pc\": \"0x555500001300\", \"module\": \"/src/demo\", "
		      "\"offset\": \"0x1300\", \"build_id\": \"8a3f01\", \"function\": "
		      "\"operator new(unsigned long)\", \"file\": \"/src/new.h\", \"line\": 3, "
		      "\"inlined\": true, \"allocator\": true},\n"
		      "      {\"pc\": \"0x555500001300\", \"module\": \"/src/demo\", "
		      "\"offset\": \"0x1300\", \"build_id\": \"8a3f01\", \"function\": "
		      "\"push\", \"file\": \"/src/list.h\", \"line\": 9, \"inlined\": "
		      "true},\n"));
	assert_non_null(strstr(text, "     \"stack_end\": \"depth\"}],\n"));
	free(text);
}

/* ... and is the same values, of which a report as of today is made. */
static void test_version_1_as_values(void **state)
{
	const struct report_options json = {
		.format = REPORT_JSON, .version = "0.1.0"};
	FILE *in = fmemopen((void *)version_1, strlen(version_1), "r");
	struct report_names known = {0};
	struct decoded values;
	struct err err;
	char *text;

	(void)state;
	assert_int_equal(decode_read(in, &values, &err), 0);
	fclose(in);
	known.known = &values.names;
	heap = values.snapshot;
	text = case_report(NULL, &known, &json);
	assert_non_null(strstr(
		text, "  \"frames\": [\n"
		      "    {\"pc\": \"0x555500001300\", \"module\": 0, \"offset\": \"0x1300\", "
		      "\"function\": \"f\", \"file\": \"/a.c\", \"line\": 77, \"inlined\": "
		      "[{\"function\": \"was_inlined\", \"file\": \"/a.h\", \"line\": 9}]},\n"
		      "    {\"pc\": \"0x10\", \"module\": null, \"offset\": null, "
		      "\"function\": null, \"file\": null, \"line\": null}],\n"
		      "  \"contexts\": [\n"
		      "    {\"id\":2,\"in_use_bytes\":150,\"in_use_blocks\":50,\"allocs\":100,"
		      "\"frees\":50,\"allocated_bytes\":300,\"peak_bytes\":150,\"first_time\":2.00,"
		      "\"last_time\":2.00,\n"
		      "     \"stack\": [\n"
		      "      {\"pc\": \"0x555500001300\", \"module\": \"/src/demo\", "
		      "\"offset\": \"0x1300\", \"build_id\": \"8a3f01\", \"function\": "
		      "\"was_inlined\", \"file\": \"/a.h\", \"line\": 9, \"inlined\": "
		      "true},\n"));
	free(text);
	decoded_deinit(&values);
	heap = NULL;
}

/* A stack has a number that no frame has. */
static void test_wrong_number(void **state)
{
	static const char report[] =
		"{\"version\": 2, \"frames\": [{\"pc\": \"0x1\", \"module\": null, \"offset\": "
		"null}], \"contexts\": [{\"id\": 1, \"stack\": [0, 1]}], \"modules\": "
		"[{\"path\": \"/x\"}]}";
	FILE *in = fmemopen((void *)report, strlen(report), "r");
	struct decoded values;
	struct err err;

	(void)state;
	assert_int_equal(decode_read(in, &values, &err), -EINVAL);
	fclose(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_symbols_from),
		cmocka_unit_test(test_more_modules_than_numbers),
		cmocka_unit_test(test_version_1_with_names),
		cmocka_unit_test(test_version_1_as_values),
		cmocka_unit_test(test_wrong_number),
		cmocka_unit_test_setup_teardown(test_values, case_begin, case_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
