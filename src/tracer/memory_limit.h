/* How much more memory a process may take before somebody refuses it, or kills it. */
#ifndef MEMTRACE_MEMORY_LIMIT_H
#define MEMTRACE_MEMORY_LIMIT_H

#include <sys/types.h>

#include "base/types.h"

struct memory_limit {
	uint64_t bytes; /* 0: there is no limit */
	uint64_t left;
};

/* The one with the least left: of the process' address space, or of its memory cgroups, which are
 * below `cgroups` (/sys/fs/cgroup).  What can't be read is no limit. */
struct memory_limit memory_limit_read(pid_t pid, const char *cgroups);

#endif
