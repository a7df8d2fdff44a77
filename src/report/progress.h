/* Words about how far a long report is: none in its first second. */
#ifndef MEMTRACE_PROGRESS_H
#define MEMTRACE_PROGRESS_H

#include "report/report.h"

struct progress {
	const struct report_options *options;
	int64_t start, last; /* milliseconds; last: of the latest call, 0 = none */
};

void progress_init(struct progress *progress, const struct report_options *options);

/* `done` of `count` are done; passed on at most ten times a second.  False: nobody wants the
 * rest. */
bool progress_step(struct progress *progress, const char *what, size_t done, size_t count);

/* -ECANCELED, in words. */
int progress_cancelled(struct err *err) MUST_CHECK;

/* It is done: if anything was said, a last call with done = count (0 of 0). */
void progress_end(struct progress *progress);

#endif
