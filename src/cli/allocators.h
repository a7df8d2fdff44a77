/*
 * What the allocators of a process have of the kernel, for the course: read beside it, at most as
 * often as that costs a thousandth of a core.
 */
#ifndef MEMTRACE_ALLOCATORS_H
#define MEMTRACE_ALLOCATORS_H

#include "heap/leak/obtained.h"
#include "tracer/target.h"

struct allocators { /* all zero: nothing yet */
	pid_t pid;  /* whose memory is open; 0: nobody's */
	struct target target;
	struct ranges far; /* what of it may not answer */
	struct obtained *found;
	int64_t read_due, find_due; /* clock_ms() */
	int64_t find_pause;
	bool missed; /* what was found could not be read, and nothing since */
	uint64_t bytes; /* when it was last read */
};

/* Bytes, a while old where they are dear; 0: not known.  What is less than in_use, which its blocks
 * have, is not all. */
uint64_t allocators_sample(struct allocators *a, pid_t pid, uint64_t in_use);
/* The next sample is of then, whatever it costs. */
void allocators_hurry(struct allocators *a);
void allocators_deinit(struct allocators *a);

#endif
