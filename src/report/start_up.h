/*
 * Blocks of starting up: what every program has of its C and C++ libraries, and nobody's leak.
 * They are in all sums, and said apart.
 */
#ifndef MEMTRACE_START_UP_H
#define MEMTRACE_START_UP_H

#include "report/job.h"

struct start_up {
	bool *is; /* by context, of those in use; malloc'ed */
	uint32_t count;
	uint64_t contexts, bytes, blocks; /* that are */
};

/* For report_options.start_up: finds them, and puts those of ids (job->count) behind all others
 * where these are in the order of verdicts.  -ENOMEM, -ECANCELED. */
int start_up_find(struct report_job *job, uint32_t *ids, struct start_up *ret,
		  struct err *err) MUST_CHECK;

/* Known by its place alone: of a constructor of the C and C++ libraries, or the loader's. */
bool start_up_is_constructed(const struct snapshot *snapshot, uint32_t id);

static inline bool start_up_has(const struct start_up *start_up, uint32_t id)
{
	return start_up && id < start_up->count && start_up->is[id];
}

#endif
