/* Who is inside code that is to go, or could return there? */
#ifndef MEMTRACE_INSIDE_H
#define MEMTRACE_INSIDE_H

#include "tracer/tracee.h"
#include "tracer/undo.h"

/*
 * Is any thread inside the stubs, or could return there?  Looks at every pc and at the words
 * of every stack, also of one that a signal handler on another has left, but for those that
 * unwind data knows to be stale (tracee->frames); all threads are stopped.  A thread that can't
 * be looked at, or not to the end of its stack, or whose link register can't be read, counts as
 * inside.
 */
bool inside_any(struct tracee *tracee, const struct undo *undo);

/* The same for one stopped thread; its memory is tracee->target. */
bool inside_thread(struct tracee *tracee, struct thread *thread, const struct undo *undo);

struct inside_range { /* begin < addr < end */
	taddr_t begin, end;
};

/* Does any stack hold an address within one of the ranges, or any pc point there?  unsure:
 * the answer for stacks that are too long to be read to their end. */
bool inside_ranges(struct tracee *tracee, const struct inside_range *ranges, size_t count,
		   bool unsure);

/* The same of code that calls nobody but itself, and the kernel's functions, as an agent does: is any thread in it,
 * or was interrupted there?  (Who is in the kernel's functions may be.) */
bool inside_agent(struct tracee *tracee, const struct inside_range *agent, bool unsure);
/* .. by its pc? */
bool inside_agent_is(const struct arch *arch, const struct inside_range *agent, taddr_t pc);

/* Has what the last search could not read brought, while the threads run.  0: try again;
 * -ETIMEDOUT: it does not come. */
int inside_fetch(struct tracee *tracee);

#endif
