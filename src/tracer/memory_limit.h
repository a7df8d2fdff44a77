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
 * below `cgroups` (/sys/fs/cgroup).  What can't be read is no limit.
 * Pages of files that the kernel drops first are left, too. */
struct memory_limit memory_limit_read(pid_t pid, const char *cgroups);

/* The same of the machine, too: what is available of its memory (/proc/meminfo, MemAvailable; Linux 3.14).  UINT64_MAX: nothing
 * of it is known. */
uint64_t memory_left(pid_t pid);

#endif
