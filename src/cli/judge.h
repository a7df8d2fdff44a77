/* --fail-on of memtrace: what of the final state may not be. */
#ifndef MEMTRACE_JUDGE_H
#define MEMTRACE_JUDGE_H

#include "cli/reporter.h"

/* Says what is not met of its options' expressions, and how many they are; -errno. */
int judge(struct reporter *reporter, const struct snapshot *snapshot, struct err *err) MUST_CHECK;

#endif
