/*
 * Which allocations count, where not all do (--min-size, --sample, --max-overhead).
 *
 *    options --> selection --told--> agent: chooses (region/sample.h)
 *                    |                  what it can't do itself comes with its choice  selection_take()
 *                    +--> the trap: leaves out what is small; all that no agent was asked about
 *                         counts as one
 *
 * So no estimate needs more than the agent, and where there is none all counts are exact.  What was not
 * counted is nobody's when it is freed (book.h: passes).
 */
#ifndef MEMTRACE_SELECTION_H
#define MEMTRACE_SELECTION_H

#include "heap/snapshot.h"
#include "region/book.h"
#include "region/shared.h"

struct selection_options {
	uint64_t min_size; /* bytes; 0: any */
	uint64_t sample;   /* bytes; 0: all.  Rounded down to a power of two */
	unsigned overhead; /* percent of the process' CPU time; 0: no limit */
};

struct selection {
	struct selection_options options;
	unsigned level;	   /* of the sample now; 0: all count */
	unsigned coarsest; /* since the counts began: above 0 they are estimates */
	uint64_t small;	   /* below min_size: that we have passed, and ... */
	uint64_t small_before; /* ... those of the agent's that are of before a clear */
	int64_t looked_ms; /* clock_ms(): the last look at what it costs; 0: there was none */
	uint64_t cost_ns, cpu_ms; /* until then */
	unsigned calm; /* looks in a row that would let more count */
};

uint64_t selection_seed(void);

/* The level of a sample with a point each so many bytes; 0 of 0. */
unsigned selection_level(uint64_t bytes);

/* Before the agent is on, and again where it is another one. */
void selection_tell(struct selection *selection, const struct shared *shared, struct book *book);
/* What another memtrace has told goes on, where nothing else is asked for. */
void selection_go_on(struct selection *selection, const struct shared *shared, struct book *book);
void selection_clear(struct selection *selection, const struct shared *shared);
/* The agent's memory goes; what it says is kept. */
void selection_keep(struct selection *selection, const struct shared *shared);
/* Exec: nothing is left of what was counted, or told, but what was asked for. */
void selection_forget(struct selection *selection, struct book *book);

/* An allocation of the thread's (own: NULL, if the agent does not know it) has come to the trap.  outer: of one
 * that did not count (sample_is_outer()). */
void selection_take(struct selection *selection, struct shared_thread *own, uint64_t slot,
		    struct book_event *event, bool outer);

/* Is there a limit, and is the last look a second ago?  Then, with the CPU time of the process and all
 * calls that have stopped: what it has cost since the last one says what is told from now on. */
bool selection_is_due(const struct selection *selection);
void selection_look(struct selection *selection, const struct shared *shared, struct book *book,
		    uint64_t cpu_ms, uint64_t stops);
/* The level for a cost in thousandths of the time that the process had for itself; *calm is kept between. */
unsigned selection_next(const struct selection *selection, uint64_t per_mille, unsigned *calm);

void selection_describe(const struct selection *selection, const struct shared *shared,
			struct snapshot_sampling *ret);

#endif
