/*
 * Expectations: what of a capture may not be, for who runs tests.
 *
 *     used>1M               more than that many bytes in use (without a limit: any)
 *     blocks>100            more than that many blocks
 *     growth>64K            more bytes an hour than before, in the same capture
 *     context:used>4K       the same, of any one call stack
 *
 * Where there is an earlier capture, only what is new or has grown since counts; what is
 * suppressed never does.
 */
#ifndef MEMTRACE_EXPECT_H
#define MEMTRACE_EXPECT_H

#include "heap/marks.h"
#include "report/suppress.h"

struct expectation {
	const char *text; /* the caller's */
	bool of_context;
	unsigned what;
	uint64_t limit;
};

/* -EINVAL, with what there is. */
int expect_parse(const char *text, struct expectation *ret, struct err *err) MUST_CHECK;

struct expect_capture {
	const struct snapshot *snapshot;
	const struct names *names; /* of all frames */
	const struct diff *diff;   /* to an earlier one, or NULL */
	struct suppressions *suppressions;
	/* Hears in one sentence each what is not met, what is suppressed, and which patterns
	 * are of no use. */
	void (*say)(const char *sentence);
};

/* *failed: how many are not met.  -EINVAL: growth of what can't have any; -ENOMEM. */
int expect_evaluate(const struct expect_capture *capture, const struct expectation *expectations,
		 size_t count, unsigned *failed, struct err *err) MUST_CHECK;

#endif
