/* Several captures as the points of a history. */
#ifndef MEMTRACE_POINTS_H
#define MEMTRACE_POINTS_H

#include <stdio.h>

#include "base/err.h"
#include "heap/snapshot.h"

struct report_point {
	const char *path; /* the caller's */
	int pid;
	struct timespec started, taken;
	struct region_totals totals;
	uint64_t resident; /* 0: not known */
};

struct report_point report_point_of(const char *path, const struct snapshot *snapshot);

/* A line for each, in the order of when they were taken, and whether what is in use grows; sorts
 * them.  -ENOMEM, -errno of writing. */
int report_points(struct report_point *points, size_t count, FILE *out,
		  struct err *err) MUST_CHECK;

#endif
