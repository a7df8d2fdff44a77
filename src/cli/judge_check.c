/*
 * Whether what --fail-on says is what this memtrace can judge by, before the process is touched: a
 * static one, which must be small, can't (judge.c); files must be there, and be what they ought to.
 */
#include "cli/judge_check.h"

#include <errno.h>
#include <sys/stat.h>

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

/* It is read at the end, too. */
static int check_again(const char *path, struct err *err)
{
	struct stat file;

	if (stat(path, &file) || !S_ISFIFO(file.st_mode))
		return 0;
	return err_set(err, -EINVAL, "%s is a pipe, and would have to be read twice", path);
}

/* The report is written before the two are compared, and at any time that somebody asks for it. */
static int check_overwritten(const struct options *o, struct err *err)
{
	struct stat earlier, output;

	if (!o->output || stat(o->baseline, &earlier) || stat(o->output, &output) ||
	    earlier.st_dev != output.st_dev || earlier.st_ino != output.st_ino)
		return 0;
	return err_set(err, -EINVAL, "--output would overwrite the file of --baseline");
}

static int check_baseline(const struct options *o, struct err *err)
{
	struct saved earlier = {0};
	int rc = check_again(o->baseline, err);

	if (!rc)
		rc = check_overwritten(o, err);
	if (!rc)
		rc = saved_open(o->baseline, NULL, &earlier, err);
	saved_deinit(&earlier);
	return rc;
}

static int check_files(const struct options *o, struct err *err)
{
	struct suppressions suppressions = {};
	int rc = o->baseline ? check_baseline(o, err) : 0;

	for (size_t i = 0; i < o->suppressions.len && !rc; i++) {
		rc = check_again(o->suppressions.at[i], err);
		if (!rc)
			rc = suppress_read(o->suppressions.at[i], &suppressions, err);
	}
	suppress_deinit(&suppressions);
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
