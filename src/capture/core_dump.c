/*
 * A process that dies of a signal with a core dump: the dump shall show its own code.
 *
 * The signal is seen before it is delivered.  Where it is sure to be the end (one that
 * dumps core, neither caught nor ignored) all threads are stopped, the code is put
 * back, and only the thread that dies goes on: the others are killed where they are, so
 * no allocation of theirs is missed either.
 *
 * The first process of a pid namespace is an exception: the kernel lets no signal of its
 * own kill it while it is traced, so a fault would come again and again (SIGNAL_UNKILLABLE
 * in kernel/signal.c).  It is let go, and dies of the next one.
 */
#include "capture/core_dump.h"

#include <errno.h>
#include <signal.h>

#include "capture/traceme.h"
#include "tracer/put_back.h"

/* signal(7), "Core" */
static bool dumps_core(int signo)
{
	static const int signals[] = {SIGQUIT, SIGILL,	SIGTRAP, SIGABRT, SIGBUS,
				      SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (signals[i] == signo)
			return true;
	return false;
}

/* By what the thread itself did: it would be killed even if it blocked the signal. */
static bool is_fault(pid_t tid)
{
	siginfo_t info;

	return thread_siginfo(tid, &info) && info.si_code > 0;
}

void core_dump_expect(struct engine *engine, const struct thread *thread, int signo)
{
	struct pending *pending = &engine->pending;
	struct status status;

	if (pending->dying || thread->sharer || !dumps_core(signo) ||
	    status_read(engine->tracee.pid, thread->tid, &status) ||
	    ((status.caught | status.ignored) & signal_bit(signo)))
		return;
	if (status.init && !is_fault(thread->tid))
		return;
	pending->dying = thread->tid;
	pending->set |= status.init ? PENDING_DETACH : PENDING_CORE_DUMP;
}

int core_dump_prepare(struct engine *engine, struct err *err)
{
	struct tracee *tracee = &engine->tracee;
	struct pending *pending = &engine->pending;
	struct thread *thread;
	/* It is pending still: whatever stops meanwhile waits. */
	int rc = tracee_stop(tracee, err);

	if (!rc && !pending->dying)
		return 0; /* another thread's exec came first: the new program is followed */
	pending->set = 0;
	if (rc)
		return rc == -ETIMEDOUT ? 0 : rc; /* they run on, and die with our code */
	thread = tracee_find(tracee, pending->dying);
	if (!thread) { /* killed: another one ends the process */
		pending->dying = 0;
		tracee_resume(tracee);
		return 0;
	}
	if (traceme_is_shared(engine))
		undo_run(engine->undoing.undo, &tracee->target);
	else
		put_back_all(tracee, NULL, engine->undoing.undo);
	tracee_resume_one(tracee, thread);
	return 0;
}
