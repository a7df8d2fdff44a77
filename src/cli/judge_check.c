/*
 * Whether what --fail-on says is what this memtrace can judge by, before the process is touched: a
 * static one, which must be small, can't (judge.c); files must be there, and be what they ought to.
 */
#include "cli/judge_check.h"

#include <errno.h>

#include "report/expect.h"
#include "report/saved.h"

static int check_pairs(const struct options *o, struct err *err)
{
	if (o->failures.len || (!o->baseline && !o->suppressions.len))
		return 0;
	return err_set(err, -EINVAL, "--%s belongs to --fail-on=EXPR",
		       o->baseline ? "baseline" : "suppressions");
}

#ifdef MEMTRACE_SMALL

int judge_check(const struct options *o, struct err *err)
{
	int rc = check_pairs(o, err);

	if (rc || !o->failures.len)
		return rc;
	return err_set(err, -ENOTSUP,
		       "this memtrace is a small one: write --format=snapshot, and 'memtrace-fs "
		       "--report FILE --fail-on=%s' says it of that",
		       o->failures.at[0]);
}

#else

static int check_files(const struct options *o, struct err *err)
{
	struct suppressions suppressions = {};
	struct saved earlier = {0};
	int rc = o->baseline ? saved_open(o->baseline, NULL, &earlier, err) : 0;

	for (size_t i = 0; i < o->suppressions.len && !rc; i++)
		rc = suppress_read(o->suppressions.at[i], &suppressions, err);
	suppress_deinit(&suppressions);
	saved_deinit(&earlier);
	return rc;
}

int judge_check(const struct options *o, struct err *err)
{
	struct expectation e;
	int rc = check_pairs(o, err);

	for (size_t i = 0; i < o->failures.len && !rc; i++)
		rc = expect_parse(o->failures.at[i], &e, err);
	return rc ? rc : check_files(o, err);
}

#endif
