/* Patches of two instructions. */
#ifndef MEMTRACE_BETWEEN_H
#define MEMTRACE_BETWEEN_H

#include "tracer/tracee.h"
#include "tracer/undo.h"

/*
 * Is a thread between the two instructions of a far patch (arch/trap.h), or has it been interrupted
 * there by a handler that runs?  What comes back into its place has another instruction there, or
 * none.  All threads are stopped; let them run a moment and ask again.
 */
bool between_any(struct tracee *tracee, const struct undo *undo);

/* What retry_stopped() can try: 0, or -EAGAIN. */
struct between {
	struct tracee *tracee;
	const struct undo *undo;
};
int between_left(void *arg);

#endif
