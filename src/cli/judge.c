/*
 * Expectations are evaluated where the names are, as what starts a program up is known by name
 * and does not count, and so is what is suppressed.  With an earlier capture only what is new or has
 * grown since counts.  A static memtrace, which must be small, leaves all that to memtrace-fs.
 */
#include "cli/judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cli/judge_check.h"
#include "report/compare.h"
#include "report/expect.h"
#include "report/saved.h"

#ifdef MEMTRACE_SMALL

int judge(struct reporter *reporter, const struct snapshot *snapshot, struct err *err)
{
	(void)snapshot;
	return judge_check(reporter->options, err);
}

#else

static void say(void *arg, const char *sentence)
{
	output_warn(arg, "%s", sentence);
}

static int read_suppressions(const struct options *options, struct suppressions *ret,
			     struct err *err)
{
	int rc = suppress_add_known(ret, err);

	for (size_t i = 0; i < options->suppressions.len && !rc; i++)
		rc = suppress_read(options->suppressions.at[i], ret, err);
	return rc;
}

/* Parsed, with what is suppressed: how many are not met. */
static int evaluate(const struct options *options, struct expect_capture *capture,
		    struct expectation *at, struct err *err)
{
	const struct option_list *texts = &options->failures;
	struct suppressions suppressions = {};
	struct expect_results results;
	int rc = read_suppressions(options, &suppressions, err);

	capture->suppressions = &suppressions;
	for (size_t i = 0; i < texts->len && !rc; i++)
		rc = expect_parse(texts->at[i], &at[i], err);
	if (!rc)
		rc = expect_evaluate(capture, at, texts->len, &results, err);
	if (!rc) {
		rc = (int)results.failed;
		expect_results_deinit(&results);
	}
	suppress_deinit(&suppressions);
	capture->suppressions = NULL;
	return rc;
}

static void tell_left_out(const struct reporter *reporter, const char *path,
			  const struct report_left_out *left_out)
{
	if (left_out->contexts)
		output_warn(reporter->output,
			    "%s leaves call stacks out (-n), %" PRIu64 " with %" PRIu64
			    " bytes: they look new",
			    path, left_out->contexts, left_out->bytes);
}

/* What the capture has more than the file --baseline. */
static int compare(struct reporter *reporter, const struct expect_capture *capture,
		   struct diff *ret, struct err *err)
{
	const struct report_options options = reporter_options(reporter);
	const char *path = reporter->options->baseline;
	struct names *before = NULL;
	struct saved earlier;
	struct progress progress;
	int rc = saved_open(path, NULL, &earlier, err);

	*ret = (struct diff){.from = path, .to = "now"};
	if (!rc) {
		const struct report_names known = {.known = earlier.names, .elsewhere = true};

		tell_left_out(reporter, path, &earlier.left_out);
		progress_init(&progress, &options);
		rc = names_create(earlier.snapshot, NULL, &known, NULL,
				  earlier.snapshot->context_count, &progress, &before, err);
		progress_end(&progress);
	}
	if (!rc)
		rc = compare_captures(earlier.snapshot, before, capture->snapshot, capture->names,
				      ret, err);
	names_destroy(before);
	saved_deinit(&earlier);
	return rc;
}

int judge(struct reporter *reporter, const struct snapshot *snapshot, struct err *err)
{
	const struct options *options = reporter->options;
	struct expect_capture capture = {
		.snapshot = snapshot, .say = say, .say_arg = reporter->output};
	struct expectation *at;
	struct names *names;
	struct diff diff = {0};
	int rc;

	if (!options->failures.len)
		return 0;
	rc = reporter_names(reporter, snapshot, &names, err);
	if (rc)
		return rc;
	capture.names = names;
	if (options->baseline) {
		rc = compare(reporter, &capture, &diff, err);
		capture.diff = &diff;
	}
	at = calloc(options->failures.len, sizeof(*at));
	if (!rc)
		rc = at ? evaluate(options, &capture, at, err)
			: err_set(err, -ENOMEM, "out of memory");
	free(at);
	diff_deinit(&diff);
	names_destroy(names);
	return rc;
}

#endif
