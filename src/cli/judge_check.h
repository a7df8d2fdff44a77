/* The words behind --fail-on, before anything is done. */
#ifndef MEMTRACE_JUDGE_CHECK_H
#define MEMTRACE_JUDGE_CHECK_H

#include "base/option_table.h"

/* -EINVAL: a text is no expectation (report/expect.h); -ENOTSUP: this memtrace knows none. */
int judge_check(const struct option_list *texts, struct err *err) MUST_CHECK;

#endif
