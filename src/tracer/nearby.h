/*
 * Staying near the target: a stop costs 9 us when tracer and tracee share a core and
 * 70 us when the wake-up has to cross (measured, KVM guest), so the tracer thread
 * moves to the core where the tracee runs.
 */
#ifndef MEMTRACE_NEARBY_H
#define MEMTRACE_NEARBY_H

#include <sys/types.h>

struct nearby {
	unsigned stops; /* since the last look */
	int cpu;	/* where we are bound to; -1: nowhere */
};

enum { NEARBY_EVERY = 256 };

void nearby_init(struct nearby *nearby);
/* A stop of this thread was handled; looks at every NEARBY_EVERY-th where it ran. */
void nearby_follow(struct nearby *nearby, pid_t pid, pid_t tid);

#endif
