/*
 * Sharers behind an exec: the process is another program, and they go on in the memory of what
 * it was (clone(CLONE_VM), or vfork() where another thread execs).  Nobody else is there any
 * more for whom the patches would be, so it is put back, by the log as it was before the exec,
 * and they are let go:
 *
 *    each is stopped --> patches back --> stubs, if none of them is inside --> all go on,
 * untraced
 *
 * One that waits for a child by vfork() of its own can't be stopped: it stays ours, and the
 * stubs stay, disarmed.
 */
#include "tracer/left_sharers.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "tracer/sharer_calls.h"
#include "tracer/hide.h"
#include "tracer/inside.h"
#include "tracer/reap.h"
#include "tracer/threads.h"

static bool is_ours(const struct tracee *tracee, int signal)
{
	return signal == tracee->own_signal || (signal == SIGTRAP && tracee->own_breaks);
}

/* Its stop is taken note of, not reaped: so the detach ends it.  False: it is not stopped. */
static bool stop(struct tracee *tracee, struct thread *sharer)
{
	struct stop stop = {.kind = STOP_QUIET, .thread = sharer};
	int status;

	if (sharer->state == THREAD_STOPPED)
		return true;
	if (sharer->in_vfork || ptrace(PTRACE_INTERRUPT, sharer->tid, 0, 0) < 0 ||
	    !reap_look(sharer->tid, &status) || !WIFSTOPPED(status))
		return false;
	stop.signal = WSTOPSIG(status);
	sharer->state = THREAD_STOPPED;
	sharer->regs_read = sharer->interrupted = false;
	sharer->group_stop = status >> 16 && stop.signal != SIGTRAP;
	sharer->at_call = sharer_calls_is(status);
	sharer->deliver = status >> 16 || sharer->at_call ? 0 : stop.signal;
	if (sharer->deliver && !is_ours(tracee, sharer->deliver))
		stop.kind = STOP_SIGNAL;
	else
		sharer->deliver = 0;
	hide_stop(tracee, &stop);
	return true;
}

struct leaving {
	struct tracee *tracee, memory; /* memory: by the first of them */
	const struct undo *undo;
	struct tid_list stopped;
	bool stays; /* a stub: somebody may be inside */
};

static void find(void *arg, struct thread *thread)
{
	struct leaving *l = arg;

	if (thread->sharer && (!stop(l->tracee, thread) || !vec_push(&l->stopped, thread->tid)))
		l->stays = true;
}

static void put_back(struct leaving *l)
{
	struct tracee *memory = &l->memory;
	struct err err;

	if (target_open_traced(&memory->target, l->stopped.at[0], &err))
		return;
	memory->target.far = l->tracee->target.far;
	memory->target.apart.hurry = l->tracee->target.apart.hurry;
	undo_run(l->undo, &memory->target);
	for (size_t i = 0; i < l->stopped.len && !l->stays; i++)
		l->stays = inside_thread(memory, tracee_find(l->tracee, l->stopped.at[i]),
					 l->undo);
	if (!l->stays)
		undo_wipe(l->undo, &memory->target);
	target_close(&memory->target);
}

void tracee_leave_sharers(struct tracee *tracee, const struct undo *undo)
{
	struct leaving l = {.tracee = tracee, .undo = undo};

	tracee_for_each(tracee, find, &l);
	if (l.stopped.len) {
		l.memory = (struct tracee){.pid = l.stopped.at[0], .arch = tracee->arch};
		put_back(&l);
	}
	for (size_t i = 0; i < l.stopped.len; i++)
		tracee_let_go(tracee, tracee_find(tracee, l.stopped.at[i]));
	vec_deinit(&l.stopped);
}
