/* One run of memtrace on one process, from attach to the final report. */
#ifndef MEMTRACE_SESSION_H
#define MEMTRACE_SESSION_H

#include "cli/options.h"
#include "region/region.h"

/* Of one of several sessions, in memory that they share: written as it goes. */
struct session_result {
	pid_t pid;		     /* of its process, once that is known */
	struct region_totals totals; /* at its end */
	bool reported;		     /* .. when its report was written */
	char name[16];		     /* of the program that it runs now, if that is another; "" */
};

/* Returns memtrace's exit status. */
int session_run(const struct options *options);

#endif
