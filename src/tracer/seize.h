/* PTRACE_SEIZE of the threads of a process of which one may be in an exec. */
#ifndef MEMTRACE_SEIZE_H
#define MEMTRACE_SEIZE_H

#include <signal.h>
#include <time.h>

#include "tracer/tracee.h"

struct seizing {
	struct tracee *tracee;
	timer_t timer;
	bool timeouts; /* there is a timer */
	sigset_t mask;
};

/* Between begin and end this thread has a timer and takes its signal.  One at a time. */
void seizing_begin(struct seizing *ret, struct tracee *tracee);
void seizing_end(struct seizing *seizing);
/* 0 or -errno.  What ends meanwhile is in tracee->queue. */
int seizing_seize(struct seizing *seizing, pid_t tid, long options);

#endif
