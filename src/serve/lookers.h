/*
 * Processes that look for leaks for clients (looker.h), one for each that asks; a few at once, as
 * each may take much memory.  While one has a client's socket nobody else reads from it.
 */
#ifndef MEMTRACE_LOOKERS_H
#define MEMTRACE_LOOKERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { LOOKERS_MAX = 4 };

struct lookers {
	uint64_t limit; /* bytes that one may take; 0: there are none */
	unsigned count;
};

struct looker_process {
	pid_t pid; /* 0: none */
	int fd;	   /* readable when it has ended */
};

/* False: it can't be now. */
bool lookers_begin(struct lookers *lookers, int client, uint32_t request, uint64_t length,
		   struct looker_process *ret);
/* After its end, or to end it: NULL where the client may go on, else what happened. */
const char *lookers_end(struct lookers *lookers, struct looker_process *process);

#endif
