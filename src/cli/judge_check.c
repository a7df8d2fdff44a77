/*
 * Whether the words behind --fail-on are ones that this memtrace can judge by: a static one, which
 * must be small, can't (judge.c).
 */
#include "cli/judge_check.h"

#include <errno.h>

#include "report/expect.h"

int judge_check(const struct option_list *texts, struct err *err)
{
#ifdef MEMTRACE_SMALL
	if (!texts->len)
		return 0;
	return err_set(err, -ENOTSUP,
		       "this memtrace is a small one: write --format=snapshot, and 'memtrace-fs "
		       "--report FILE --fail-on=%s' says it of that",
		       texts->at[0]);
#else
	struct expectation e;
	int rc = 0;

	for (size_t i = 0; i < texts->len && !rc; i++)
		rc = expect_parse(texts->at[i], &e, err);
	return rc;
#endif
}
