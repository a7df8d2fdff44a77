/* What may not be, and what of it nobody wants to hear of. */
#include "report_case.h"

#include <unistd.h>

#include "heap/verdicts.h"
#include "report/expect.h"
#include "report/job.h"

static char said[4096];

static void hear(void *arg, const char *sentence)
{
	(void)arg;
	strcat(said, sentence);
	strcat(said, "\n");
}

static struct names *name(void)
{
	static const struct report_options options;
	struct progress progress;
	struct names *names;

	progress_init(&progress, &options);
	assert_int_equal(names_create(heap, &knowing, NULL, NULL, heap->context_count,
				      &progress, &names, NULL),
			 0);
	return names;
}

static void from_text(const char *text, struct suppressions *ret)
{
	char path[] = "/tmp/test_expect.XXXXXX";
	int fd = mkstemp(path);
	struct err err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	assert_int_equal(suppress_read(path, ret, &err), 0);
	unlink(path);
}

/* Of the demo's three contexts: which one a pattern fits, as bits. */
static unsigned fitting(struct names *names, const char *pattern)
{
	struct suppressions s = {};
	unsigned bits = 0;

	from_text(pattern, &s);
	assert_int_equal(s.patterns.len, 1);
	for (uint32_t id = 1; id <= 3; id++) {
		struct suppress_pattern *found;

		assert_true(suppress_find(&s, heap, names, id, &found));
		bits |= found ? 1u << (id - 1) : 0;
	}
	suppress_deinit(&s);
	return bits;
}

/* 1: malloc, multimalloc, main, __libc_start_call_main.  2: malloc, operator new, push, insert
 * (one frame), main, ...  3: malloc, demo+0x5000, plug"in.so+0x1234. */
static void test_patterns(void **state)
{
	static const struct {
		const char *pattern;
		unsigned fits;
	} cases[] = {
		{"multimalloc", 1},
		{"multi*", 1},
		{"*malloc; main", 1},
		{"malloc; multimalloc", 1},
		{"malloc", 7},
		{"main", 0}, /* not at the leaf */
		{"...; main", 3},
		{"...; main; __libc_start_call_main", 3},
		{"...; __libc_start*", 3},
		{"...; main; ...; __libc_start_call_main", 3},
		{"malloc; ...; push", 2},
		{"operator new", 2}, /* without its arguments */
		{"operator new; push; ns::List<*>::insert", 2},
		{"multimalloc@demo", 1},
		{"multimalloc@demo2", 0},
		{"@demo; @plug*", 4},
		{"*@demo; main", 1},
		{"...; @plug\"in.so", 4},
		{"...; *@nothing", 0},
		{"multimalloc; main; __libc_start_call_main; more", 0},
		{"multimalloc;main ; ...", 1},
		{"*multi*mall*c*", 1},
		{"multimallo", 0},
		{"*", 0}, /* too broad: not used */
		{"...; *; ...", 0},
		{"*@*", 0},
	};
	struct names *names;

	(void)state;
	case_demo();
	case_snapshot();
	names = name();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (fitting(names, cases[i].pattern) != cases[i].fits)
			fail_msg("'%s' fits %x, not %x", cases[i].pattern,
				 fitting(names, cases[i].pattern), cases[i].fits);
	names_destroy(names);
}

static unsigned failing(const struct expect_capture *capture, const char *text)
{
	struct expect_results results;
	struct expectation e;
	unsigned failed;
	struct err err;

	said[0] = '\0';
	assert_int_equal(expect_parse(text, &e, &err), 0);
	assert_int_equal(expect_evaluate(capture, &e, 1, &results, &err), 0);
	failed = results.failed;
	expect_results_deinit(&results);
	return failed;
}

/* 265 bytes in 5 blocks, 150 in 50, 137 in 1. */
static void test_limits(void **state)
{
	struct suppressions none = {};
	struct expect_capture capture = {.suppressions = &none, .say = hear};
	struct names *names;

	(void)state;
	case_demo();
	case_snapshot();
	capture.snapshot = heap;
	capture.names = names = name();
	assert_int_equal(failing(&capture, "used>552"), 0);
	assert_string_equal(said, "");
	assert_int_equal(failing(&capture, "used>551"), 1);
	assert_string_equal(said, "--fail-on=used>551: 552 bytes\n");
	assert_int_equal(failing(&capture, "used"), 1);
	assert_int_equal(failing(&capture, "used>0"), 1);
	assert_int_equal(failing(&capture, "used>1K"), 0);
	assert_int_equal(failing(&capture, "blocks>56"), 0);
	assert_int_equal(failing(&capture, "blocks>55"), 1);
	assert_int_equal(failing(&capture, "context:used>265"), 0);
	assert_int_equal(failing(&capture, "context:used>264"), 1);
	assert_string_equal(said, "--fail-on=context:used>264: #1 multimalloc: 265 bytes\n");
	assert_int_equal(failing(&capture, "context:blocks>49"), 1);
	assert_string_equal(said, "--fail-on=context:blocks>49: #2 push: 50 blocks\n");
	names_destroy(names);
}

static void test_suppressed(void **state)
{
	struct suppressions s = {};
	struct expect_capture capture = {.suppressions = &s, .say = hear};
	struct names *names;

	(void)state;
	case_demo();
	case_snapshot();
	from_text("# what is known\n\n  multimalloc ; main\nnever\n*\n", &s);
	capture.snapshot = heap;
	capture.names = names = name();
	assert_int_equal(failing(&capture, "used>287"), 0);
	assert_string_equal(said, "not counted, suppressed: 265 bytes in 5 blocks\n"
				  "suppression in line 4 fits nothing: never\n"
				  "suppression in line 5 is too broad, and not used: *\n");
	assert_int_equal(failing(&capture, "used>286"), 1);
	suppress_deinit(&s);
	names_destroy(names);
}

/* What is new or has grown, alone; and how fast, in one capture. */
static void test_since(void **state)
{
	struct suppressions none = {};
	struct diff_context at[] = {{.id = 3, .bytes = 100, .blocks = 2},
				    {.id = 1, .bytes = 60, .blocks = 1},
				    {.id = 2, .bytes = -500, .blocks = -5}};
	struct diff diff = {.seconds = 1800, .at = at, .count = 3, .grown = 2};
	struct expect_capture capture = {.suppressions = &none, .say = hear, .diff = &diff};
	struct expect_results results;
	struct expectation e;
	struct names *names;
	struct err err;

	(void)state;
	case_demo();
	case_snapshot();
	capture.snapshot = heap;
	capture.names = names = name();
	assert_int_equal(failing(&capture, "used>160"), 0);
	assert_int_equal(failing(&capture, "used>159"), 1);
	assert_int_equal(failing(&capture, "blocks>2"), 1);
	assert_int_equal(failing(&capture, "growth>320"), 0);
	assert_int_equal(failing(&capture, "growth>319"), 1);
	assert_string_equal(said, "--fail-on=growth>319: 320 bytes an hour\n");
	assert_int_equal(failing(&capture, "context:growth>199"), 1);
	assert_int_equal(failing(&capture, "context:growth>200"), 0);
	diff.apart = true;
	assert_int_equal(expect_parse("growth", &e, &err), 0);
	assert_int_equal(expect_evaluate(&capture, &e, 1, &results, &err), -EINVAL);
	assert_string_equal(err.text,
			    "--fail-on=growth needs an earlier file of the same capture");
	names_destroy(names);
}

/* What verdicts say counts without an earlier capture: #1 leaks, #2 grows, #3 is a cache. */
static void test_verdicts(void **state)
{
	struct suppressions none = {};
	struct expect_capture capture = {.suppressions = &none, .say = hear};
	struct expect_results results;
	struct expectation e;
	struct names *names;
	struct err err;

	(void)state;
	case_demo();
	case_snapshot();
	capture.snapshot = heap;
	capture.names = names = name();
	assert_int_equal(expect_parse("verdict", &e, &err), 0);
	assert_int_equal(expect_evaluate(&capture, &e, 1, &results, &err), -EINVAL);
	heap->verdicts = calloc(1, sizeof(*heap->verdicts));
	heap->verdicts->at = calloc(4, sizeof(*heap->verdicts->at));
	heap->verdicts->count = 4;
	heap->verdicts->at[1] = (struct verdict){.word = VERDICT_LEAKS, .per_hour = 700};
	heap->verdicts->at[2] = (struct verdict){.word = VERDICT_GROWS, .per_hour = 300};
	heap->verdicts->at[3] = (struct verdict){.word = VERDICT_CACHE, .per_hour = 9};
	heap->verdicts->process = (struct verdict){.word = VERDICT_LEAKS, .contexts = 1};
	assert_int_equal(failing(&capture, "verdict"), 1);
	assert_string_equal(said, "--fail-on=verdict: #1 multimalloc: leaks\n");
	assert_int_equal(failing(&capture, "context:verdict=grows"), 1);
	assert_string_equal(said, "--fail-on=context:verdict=grows: #2 push: grows\n");
	assert_int_equal(failing(&capture, "verdict=steady"), 0);
	assert_int_equal(failing(&capture, "growth>1000"), 0);
	assert_int_equal(failing(&capture, "growth>999"), 1);
	assert_string_equal(said, "--fail-on=growth>999: 1000 bytes an hour\n");
	assert_int_equal(failing(&capture, "context:growth>699"), 1);
	from_text("multimalloc", &none); /* and then nothing leaks that counts */
	assert_int_equal(failing(&capture, "verdict"), 0);
	assert_int_equal(failing(&capture, "growth>300"), 0);
	assert_int_equal(failing(&capture, "growth>299"), 1);
	suppress_deinit(&none);
	none = (struct suppressions){};
	/* the process grows, and nobody knows by whom */
	heap->verdicts->count = 0;
	heap->verdicts->process = (struct verdict){.word = VERDICT_GROWS, .per_hour = 50};
	assert_int_equal(failing(&capture, "verdict=grows"), 1);
	assert_string_equal(said, "--fail-on=verdict=grows: the process: grows\n");
	assert_int_equal(failing(&capture, "growth>49"), 1);
	heap->verdicts->process.said = "words, and the rate";
	assert_int_equal(failing(&capture, "growth>49"), 1);
	heap->verdicts->process.per_hour = 0;
	assert_int_equal(expect_parse("growth", &e, &err), 0);
	assert_int_equal(expect_evaluate(&capture, &e, 1, &results, &err), -EINVAL);
	assert_string_equal(err.text, "--fail-on=growth needs a snapshot, or an earlier file of "
				      "the same capture");
	heap->verdicts->process = (struct verdict){.word = VERDICT_TOO_EARLY};
	assert_int_equal(failing(&capture, "growth"), 0);
	assert_string_equal(said, "--fail-on=growth: it is too early to tell\n");
	names_destroy(names);
}

static void test_mistakes(void **state)
{
	static const char *const bad[] = {"",	    "use",	"used=1",	"used>",
					  "used>x", "context:", "context:lost", ">1",
					  "verdict>1", "verdict=", "verdict=lost"};
	struct expectation e;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!expect_parse(bad[i], &e, &err))
			fail_msg("'%s' was taken", bad[i]);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, case_begin, case_end)
	const struct CMUnitTest tests[] = {
		CASE(test_patterns), CASE(test_limits),	  CASE(test_suppressed),
		CASE(test_since),    CASE(test_verdicts), CASE(test_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
