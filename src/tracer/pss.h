/* The proportional set size of a process. */
#ifndef MEMTRACE_PSS_H
#define MEMTRACE_PSS_H

#include <sys/types.h>

#include "base/types.h"

struct pss {
	uint64_t all;	 /* bytes; 0: not known (Linux before 4.14, or it has ended) */
	uint64_t shared; /* of it, of shared memory; 0: not known (before 5.4) */
};

struct pss pss_read(pid_t pid);

#endif
