/* What is kept of a thread of the target, beside what tracer/ does. */
#ifndef MEMTRACE_THREAD_DATA_H
#define MEMTRACE_THREAD_DATA_H

#include <stdlib.h>

#include "region/book.h"
#include "tracer/tracee.h"

struct thread_share { /* its place in the agent's memory: share.c's */
	taddr_t pointer; /* 0: it has none */
	uint32_t number;
	uint64_t allocs, frees; /* of its counts there these are in book's */
	unsigned elsewhere;	/* calls from another stack */
	bool fresh;		/* nothing of it is there yet */
	bool banned;		/* another thread has its pointer, too */
};

struct thread_data {
	struct book_thread book;
	taddr_t free_slot; /* where the return address of its last free() lay, by ... */
	uint32_t free_by;  /* ... which module's function */
	int counted;	   /* its trap was counted before this signal of it came, which is to be
			      dropped; 0: none */
	struct thread_share share;
};

/* Made when it is first asked for.  NULL: memory is short. */
static inline struct thread_data *thread_data(struct thread *thread)
{
	if (!thread->owner)
		thread->owner = calloc(1, sizeof(struct thread_data));
	return thread->owner;
}

#endif
