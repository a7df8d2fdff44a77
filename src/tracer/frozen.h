/* Processes that are stopped because their cgroup is frozen. */
#ifndef MEMTRACE_FROZEN_H
#define MEMTRACE_FROZEN_H

#include <stdbool.h>
#include <sys/types.h>

struct frozen {
	char file[320];	  /* what to write to, so that it runs again */
	const char *thaw; /* and what */
};

/* root: as doctor_look()'s.  False: it is not frozen, or that can't be seen. */
bool frozen_find(const char *root, pid_t pid, struct frozen *ret);

#endif
