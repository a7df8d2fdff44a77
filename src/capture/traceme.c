/*
 * A child by vfork() that asks to be traced (PTRACE_TRACEME): a debugger's, a sandbox's.
 *
 * It shares the memory, so we trace it until its exec, and who is traced can't ask.  It is let
 * go when it enters ptrace(), the function or the system call (tracer/sharer_calls.c), whatever
 * we are about: it is held until all are stopped.  From there to its exec it still runs through
 * our stubs, and whatever is written or wiped there meanwhile it must not meet half done.  (Its tracer
 * would see no signal of the traps, which is for the process alone; where they are for whoever
 * comes, it would, and were that its parent, asleep in vfork(), both would wait for ever.)  So all
 * threads are stopped, the traps do nothing until the child is on its way, and then all goes on.
 * What the child allocates in between is not counted.
 *
 *    ptrace() --> held --> all stopped --> traps disarmed --> child let go --> its exec or end
 *             --> traps armed --> all go on
 *
 * A child by clone(CLONE_VM) whose parent does not sleep may take its time, and may need the
 * others: after CLONE_LIMIT_MS all goes on, whatever it does.  As long as it stays the stubs
 * do.
 */
#include "capture/traceme.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { VFORK_LIMIT_MS = 500, CLONE_LIMIT_MS = 20, REST_NS = 50000 };

void traceme_on_ptrace(struct engine *engine, struct thread *thread, long request)
{
	if (request != PTRACE_TRACEME || !thread->sharer || tracee_watch_sharer(thread))
		return;
	thread->held = true;
	engine->pending.set |= PENDING_TRACEME;
}

/* first_sp: where kcmp() is not to be had, an exec shows by the stack's place. */
static bool shares(const struct engine *engine, pid_t pid, taddr_t first_sp)
{
	pid_t ours = status_alive(engine->tracee.pid);
	long rc = syscall(SYS_kcmp, ours, pid, KCMP_VM, 0, 0);

	if (rc >= 0 || errno == ESRCH)
		return rc == 0;
	return status_alive(pid) && status_first_sp(pid) == first_sp;
}

static void thread_waits(void *arg, struct thread *thread)
{
	bool *waits = arg;

	*waits |= thread->in_vfork;
}

static bool wait_until_it_is_gone(struct engine *engine, pid_t pid)
{
	const struct timespec rest = {0, REST_NS};
	taddr_t first_sp = status_first_sp(pid);
	bool vfork = false;
	int limit;

	tracee_for_each(&engine->tracee, thread_waits, &vfork);
	limit = (vfork ? VFORK_LIMIT_MS : CLONE_LIMIT_MS) * (1000000 / REST_NS);
	for (int i = 0; i < limit; i++) {
		if (!shares(engine, pid, first_sp))
			return true;
		nanosleep(&rest, NULL);
	}
	return false;
}

bool traceme_is_shared(const struct engine *engine)
{
	return engine->undoing.sharer &&
	       shares(engine, engine->undoing.sharer, status_first_sp(engine->tracee.pid));
}

static void sharer_let_go(struct engine *engine, struct thread *sharer)
{
	pid_t pid = sharer->tid;

	ledger_abandon(&engine->ledger, sharer);
	tracee_let_go(&engine->tracee, sharer);
	if (!wait_until_it_is_gone(engine, pid))
		engine->undoing.sharer = pid;
}

static void find_held(void *arg, struct thread *thread)
{
	struct thread **found = arg;

	if (thread->held && thread->state == THREAD_STOPPED)
		*found = thread;
}

static struct thread *held(struct engine *engine)
{
	struct thread *found = NULL;

	tracee_for_each(&engine->tracee, find_held, &found);
	return found;
}

void traceme_let_go_stopped(struct engine *engine)
{
	struct thread *sharer;

	while ((sharer = held(engine)))
		sharer_let_go(engine, sharer);
}

/* They go on with us, and are refused. */
static void give_up(struct engine *engine)
{
	struct thread *sharer;

	while ((sharer = held(engine))) {
		sharer->held = false;
		tracee_continue(&engine->tracee, sharer);
	}
}

int traceme_let_go(struct engine *engine, struct err *err)
{
	struct target *memory = &engine->tracee.target;
	struct undo_payloads payloads;
	int rc;

	rc = tracee_stop(&engine->tracee, err);
	if (rc && rc != -ETIMEDOUT)
		return rc;
	if (rc || undo_disarm(engine->undoing.undo, memory, &payloads)) {
		give_up(engine);
		return 0;
	}
	traceme_let_go_stopped(engine);
	undo_rearm(engine->undoing.undo, memory, &payloads);
	return 0;
}
