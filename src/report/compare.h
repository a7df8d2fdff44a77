/* Two captures, by what their call stacks are, as ids of one say nothing in the other. */
#ifndef MEMTRACE_COMPARE_H
#define MEMTRACE_COMPARE_H

#include "heap/marks.h"
#include "report/names.h"

/*
 * What `after` has more or less in use than `before`, in ids of `after`; names are of all frames
 * (names_create() without ids).  Call stacks are the same whose frames are: in modules that both
 * have (the same build-id) by the address, else by functions, without lines, so that another
 * build of a program can be compared; those that are the same then are one, with the id of that
 * which has most.  What only `before` has is in ret->total.  from and to are the caller's.
 * 0 or -ENOMEM; diff_deinit().
 */
int compare_captures(const struct snapshot *before, const struct names *before_names,
		     const struct snapshot *after, const struct names *after_names,
		     struct diff *ret, struct err *err) MUST_CHECK;

#endif
