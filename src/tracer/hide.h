/* Keeping our stops invisible to the program. */
#ifndef MEMTRACE_HIDE_H
#define MEMTRACE_HIDE_H

#include "tracer/tracee.h"
#include "tracer/undo.h"

/*
 * A stop that is not the program's business (an interrupt of ours, a signal that
 * has no effect) may have ended a system call with EINTR.  Has the kernel make the call
 * again, if no signal of the program's own ends it before the thread runs on.  For every
 * stop, before it is ended: at one that is the program's business what was done at an
 * earlier one is taken back.  True: the call will be made again.
 */
bool hide_stop(struct tracee *tracee, const struct stop *stop);

/*
 * Is any thread inside the stubs, or could return there?  Looks at every pc and at
 * the words of every stack, also of one that a signal handler on another has left; the
 * world must stand.  A thread that can't be looked at
 * counts as inside.
 */
bool hide_has_inside(struct tracee *tracee, const struct undo *undo);

/* The same for one stopped thread; its memory is tracee->target. */
bool hide_is_inside(struct tracee *tracee, struct thread *thread, const struct undo *undo);

struct hide_range { /* begin < addr < end */
	taddr_t begin, end;
};

/* Does any stack hold an address within one of the ranges, or any pc point there? */
bool hide_has_address(struct tracee *tracee, const struct hide_range *ranges, size_t count);

#endif
