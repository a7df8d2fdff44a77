/* Putting back what the undo log says. */
#ifndef MEMTRACE_PUT_BACK_H
#define MEMTRACE_PUT_BACK_H

#include "tracer/tracee.h"
#include "tracer/undo.h"

/*
 * The stubs' bytes come back if nobody is inside them or could return there: `only`, the one
 * thread of tracee->target, or NULL: any of the tracee's.  All threads are stopped; the patches
 * are back.  False: somebody is, and the stubs stay, disarmed.
 */
bool put_back_stubs(struct tracee *tracee, struct thread *only, const struct undo *undo);

/* The patches come back, and the stubs as by put_back_stubs(). */
bool put_back_all(struct tracee *tracee, struct thread *only, const struct undo *undo);

#endif
