/*
 * Going first: while the world stands, the tracer thread runs before everybody else
 * (SCHED_FIFO), so that it is not preempted by each thread that it lets go, or asks to
 * stop, while all the others wait.  Where that isn't allowed nothing happens.
 */
#ifndef MEMTRACE_URGENT_H
#define MEMTRACE_URGENT_H

#include <stdbool.h>

struct urgent {
	bool on;
	int policy; /* the thread's own */
};

enum { URGENT_LIMIT_MS = 50 }; /* who waits for others this long is not urgent any more */

void urgent_begin(struct urgent *urgent);
void urgent_end(struct urgent *urgent);

#endif
