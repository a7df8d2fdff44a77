/*
 * Staying near the target: a stop costs 9 us when tracer and tracee share a core and
 * 70 us when the wake-up has to cross (measured, KVM guest), so the tracer thread
 * moves to the core where the tracee runs.
 */
#ifndef MEMTRACE_AFFINITY_H
#define MEMTRACE_AFFINITY_H

#include <sys/types.h>

struct affinity {
	unsigned stops; /* since the last look */
	int cpu;	/* where we are bound to; -1: nowhere */
};

enum { AFFINITY_EVERY = 256 };

void affinity_init(struct affinity *affinity);
/* A stop of this thread was handled; looks at every AFFINITY_EVERY-th where it ran. */
void affinity_follow(struct affinity *affinity, pid_t pid, pid_t tid);

#endif
