/* Inside report/: many call stacks as few lines. */
#ifndef MEMTRACE_AGGREGATE_H
#define MEMTRACE_AGGREGATE_H

#include "report/job.h"

/* Whether a line's function, file or module is meant by a pattern of glob_matches(). */
bool filter_is_named(const struct names_line *line, const char *pattern);
/* Leaves of ids[0..job->count) those that --in and --not let: job->count of them.  -ENOMEM,
 * -ECANCELED. */
int filter_contexts(struct report_job *job, uint32_t *ids, struct err *err) MUST_CHECK;

/* The same of those that have blocks old enough. */
void filter_ages(struct report_job *job, uint32_t *ids);
/* The first line of a call stack behind the way into the allocator.  False: there is none. */
bool aggregate_who(const struct report_job *job, const struct names *names, uint32_t id,
		   struct names_line *ret);

/* top: a table of those that move (report/top.h). */
int top_write(struct report_job *job, FILE *out, struct err *err) MUST_CHECK;
/* report --by=...: a line for each function, file or module that allocated. */
int by_write(struct report_job *job, FILE *out, struct err *err) MUST_CHECK;
/* tree: call stacks merged. */
int tree_write(struct report_job *job, FILE *out, struct err *err) MUST_CHECK;

/* "12.3%  5.6 MiB in 40 blocks". */
void aggregate_print(FILE *out, uint64_t bytes, uint64_t blocks, uint64_t whole);

#endif
