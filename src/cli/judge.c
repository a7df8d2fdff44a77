/*
 * Expectations are evaluated where the names are, as what starts a program up is known by name
 * and does not count.  A static memtrace, which must be small, leaves them to memtrace-fs.
 */
#include "cli/judge.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/judge_check.h"
#include "report/expect.h"

#ifdef MEMTRACE_SMALL

int judge(struct reporter *reporter, const struct option_list *texts,
	  const struct snapshot *snapshot, struct err *err)
{
	(void)reporter;
	(void)snapshot;
	return judge_check(texts, err);
}

#else

static void say(void *arg, const char *sentence)
{
	output_warn(arg, "%s", sentence);
}

static int evaluate(struct expect_capture *capture, const struct option_list *texts,
		    struct expectation *at, struct err *err)
{
	struct suppressions suppressions = {};
	struct expect_results results;
	int rc = suppress_add_known(&suppressions, err);

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

int judge(struct reporter *reporter, const struct option_list *texts,
	  const struct snapshot *snapshot, struct err *err)
{
	struct expect_capture capture = {
		.snapshot = snapshot, .say = say, .say_arg = reporter->output};
	struct expectation *at;
	struct names *names;
	int rc;

	if (!texts->len)
		return 0;
	rc = reporter_names(reporter, snapshot, &names, err);
	if (rc)
		return rc;
	capture.names = names;
	at = calloc(texts->len, sizeof(*at));
	rc = at ? evaluate(&capture, texts, at, err) : err_set(err, -ENOMEM, "out of memory");
	free(at);
	names_destroy(names);
	return rc;
}

#endif
