/*
 * A system call that a thread of the process makes for us.
 *
 * In no moment is the thread anywhere where it could not go on without us:
 *
 *    code is written where nobody runs, logged as an area (undo.h)
 *    (where the kernel has put the thread back on a call of its own that was interrupted: it
 *        makes it again, and is interrupted again, so that we see by what it ended)
 *    all registers are set by one ptrace call: from now on the thread is in that code,
 *        which makes the call, puts every register back and goes home (arch->trap->remote_build())
 *    it stops where it enters the call, and where it leaves it: there is the result
 *    an interrupt is asked for, the registers become what they were, and with the stop of the
 *        interrupt the thread is where it was before, also for the kernel, which then deals
 *        with a call of its own that was interrupted
 *    the code is taken away
 *
 * Any other stop that comes first (a signal) is handed out as always, with the registers as
 * they were.
 */
#ifndef MEMTRACE_REMOTE_H
#define MEMTRACE_REMOTE_H

#include "arch/trap.h"
#include "tracer/tracee.h"
#include "tracer/undo.h"

/*
 * All threads are stopped; *result is as the kernel gives it, a negative one is -errno.
 * -EAGAIN: no thread can make the call just now; let them run a moment.  (Or it was made, when
 * *result was written, and its thread runs on.)
 * -EPERM: none may, by its seccomp filters or its dispatcher of system calls.
 * -ETIMEDOUT: the call is made, but takes long; its result will not be known.
 * -ERANGE: no thread is where it could come home to from the place.
 * -ENOSPC, -EBUSY, -EFAULT, ...: there is no place for the code, or not any more.
 */
int remote_call(struct tracee *tracee, struct undo *undo, const struct undo_place *place,
		const struct remote_call *call, int64_t *result, struct err *err) MUST_CHECK;

enum { REMOTE_CALLS = 8 };

/* One of several (at most REMOTE_CALLS), by a thread that may make all of them. */
int remote_call_of(struct tracee *tracee, struct undo *undo, const struct undo_place *place,
		   const struct remote_call *calls, size_t count, size_t which, int64_t *result,
		   struct err *err) MUST_CHECK;
/* The same by a thread near one of the places. */
int remote_call_from_any(struct tracee *tracee, struct undo *undo,
			 const struct undo_places *places, const struct remote_call *calls,
			 size_t count, size_t which, int64_t *result,
			 struct err *err) MUST_CHECK;

/* Is this status, of a stop that is no event, that of a call which took long? */
bool remote_is_stop(const struct thread *thread, int status);

#endif
