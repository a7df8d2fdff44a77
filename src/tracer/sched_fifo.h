/*
 * Going first: while all threads are stopped, the tracer thread runs before everybody else
 * (SCHED_FIFO), so that it is not preempted by each thread that it lets go, or asks to
 * stop, while all the others wait.  Where that isn't allowed nothing happens.
 */
#ifndef MEMTRACE_SCHED_FIFO_H
#define MEMTRACE_SCHED_FIFO_H

#include <stdbool.h>

struct sched_fifo {
	bool on;
	int policy; /* the thread's own */
};

enum { SCHED_FIFO_LIMIT_MS = 50 }; /* who waits for others this long needs it no more */

void sched_fifo_begin(struct sched_fifo *sched_fifo);
void sched_fifo_end(struct sched_fifo *sched_fifo);

#endif
