/*
 * A new process from one tracer to another, without a moment in which it runs its program unseen,
 * or stands for ever:
 *
 *    first tracer                                    second tracer
 *    its first stop --> registers set: it waits
 *        (nanosleep()), puts every register back,
 *        and goes home by itself
 *    PTRACE_DETACH ..................... waits ....  PTRACE_SEIZE, stop: it is put home at once
 *
 * So whoever of us is killed when: it goes home when the time is over.  The code lies behind the
 * end of the vdso (copy_place()), where nobody runs it but that thread; it is in the log of the first
 * (undo_held()), and taken away by the second, or by whoever works that log off.
 */
#ifndef MEMTRACE_HANDOVER_H
#define MEMTRACE_HANDOVER_H

#include "elf/maps.h"
#include "tracer/tracee.h"
#include "tracer/undo.h"

enum { HANDOVER_MS = 3000 };

struct handover {
	pid_t pid;
	bool waits;	/* else it runs on already */
	taddr_t place;	/* of the code ... */
	taddr_t behind; /* ... and where in it it has waited */
	taddr_t time;	/* of the time that it waits, below its stack ... */
	uint8_t was[16]; /* ... and what was there */
	struct regs home;
};

/* A process of one thread, stopped at its birth, or at the begin of a program (STOP_CHILD,
 * STOP_SHARER_EXEC), put back (mend.h): is let go, and waits, where that can be. */
void handover_give(struct tracee *tracee, struct thread *child, struct undo *undo,
		   struct handover *ret);

/* The same of a runner (runners.h) that stands at its exec. */
void handover_give_runner(struct tracee *tracee, pid_t runner, struct undo *undo,
			  struct handover *ret);

/* tracee_attach() has seized it: it is stopped where it was, all of that taken away.  *late: it does
 * not wait any more, and runs.  -ECHILD: it has ended. */
int handover_take(struct tracee *tracee, const struct handover *given, bool *late,
		  struct err *err) MUST_CHECK;

/* Nobody will take it: it need not wait any more, and is put home. */
void handover_decline(const struct handover *given);

/* The same of all in the log whose code is there still.  taken: they may be taken yet, and have the time
 * for it first. */
void handover_mend(const struct undo *undo, bool taken);

#endif
