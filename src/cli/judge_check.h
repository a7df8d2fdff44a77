/* What is behind --fail-on, --baseline and --suppressions, before anything is done. */
#ifndef MEMTRACE_JUDGE_CHECK_H
#define MEMTRACE_JUDGE_CHECK_H

#include "cli/options.h"

/* -EINVAL: a text is no expectation (report/expect.h), or one is missing; -ENOTSUP: this memtrace
 * knows none; of files: errors of suppress_read() and saved_open(). */
int judge_check(const struct options *options, struct err *err) MUST_CHECK;

#endif
