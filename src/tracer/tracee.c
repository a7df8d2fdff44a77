/*
 * Threads and their stops: the producer that all of ptrace's awkwardness is
 * confined to.  What a status means, by ptrace(2) for PTRACE_SEIZEd threads:
 *
 *   exited / signalled            the thread (the leader's: the process) has ended
 *   event STOP, signal SIGTRAP    our interrupt, or a new thread's first stop
 *   event STOP, SIGSTOP ...       group stop: the target's own
 *   event CLONE, FORK, VFORK      the new task's id is the message; its first stop
 *                                 may have come before (kept as unannounced)
 *   event VFORK_DONE              the parent runs again
 *   event EXEC                    message: the id the caller had before
 *   none, signal                  about to be delivered
 */
#include "tracer/tracee.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "tracer/children.h"
#include "tracer/sharer_calls.h"
#include "tracer/reap.h"
#include "tracer/remote.h"
#include "tracer/runners.h"
#include "tracer/threads.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

enum { MOMENT_NS = 200000 };

/* ---- one status -------------------------------------------------------- */

static unsigned long event_message(pid_t tid)
{
	unsigned long message = 0;
	ptrace(PTRACE_GETEVENTMSG, tid, 0, &message);
	return message;
}

static bool stop_exec(struct tracee *tracee, struct thread *thread, struct stop *ret)
{
	if (thread->sharer || tracee->succeeded) {
		tracee->exited |= !thread->sharer; /* the process has, long since */
		thread->sharer = true;
		ret->kind = STOP_SHARER_EXEC;
		return true;
	}
	threads_keep_only(tracee, thread);
	thread->in_vfork = false;
	thread->in_exec_stop = true;
	ret->kind = STOP_EXEC;
	return true;
}

static struct birth birth_of(struct tracee *tracee, struct thread *parent)
{
	const struct arch *arch = tracee->arch;
	struct birth birth = {.pid = (pid_t)event_message(parent->tid),
			      .vfork = parent->event == PTRACE_EVENT_VFORK};
	struct regs *regs = birth.vfork ? thread_regs(tracee, parent) : NULL;

	birth.sp = regs ? regs_read(arch, regs, arch->reg_sp) : 0;
	return birth;
}

/* By exit_group(), or as the last of its threads: not by a signal. */
static bool ends_process(struct tracee *tracee, struct thread *thread)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, thread);

	if (thread->sharer || !regs || event_message(thread->tid) & 0x7f)
		return false;
	return regs_word(arch, regs, arch->call_number_offset) == SYS_exit_group ||
	       tracee->count == 1;
}

/* An event stop that is not worth handing out runs on.  False: nothing to report. */
static bool stop_event(struct tracee *tracee, struct thread *thread, int event, int signal,
		       struct stop *ret)
{
	struct birth birth = {.pid = 0};
	bool reported = false;

	switch (event) {
	case PTRACE_EVENT_STOP:
		ret->signal = signal;
		thread->group_stop = signal != SIGTRAP;
		ret->kind = thread->group_stop ? STOP_GROUP : STOP_QUIET;
		return true;
	case PTRACE_EVENT_EXEC:
		return stop_exec(tracee, thread, ret);
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		birth = birth_of(tracee, thread);
		thread->in_vfork = birth.vfork;
		reported = children_announced(tracee, thread, &birth, ret);
		break;
	case PTRACE_EVENT_CLONE: {
		pid_t tid = (pid_t)event_message(thread->tid);
		struct thread *new = threads_find(tracee, tid);
		struct status status;

		/* CLONE is also what clone() without an exit signal reports. */
		birth = (struct birth){.pid = tid, .vfork = true};
		if (status_read(tid, 0, &status) == 0 && status.tgid != tracee->pid)
			reported = children_announced(tracee, thread, &birth, ret);
		else if (tid && !new)
			threads_add(tracee, tid);
		break;
	}
	case PTRACE_EVENT_EXIT:
		if (ends_process(tracee, thread)) {
			ret->kind = STOP_EXITING;
			return true;
		}
		break;
	case PTRACE_EVENT_VFORK_DONE:
		thread->in_vfork = false;
		break;
	default:
		break;
	}
	tracee_continue(tracee, thread);
	return reported;
}

/* A sharer's system call: only the one is handed out.  A stop there ends our interrupt
 * (ptrace_stop() in kernel/signal.c), but in it a call that was interrupted can't be hidden, as
 * the kernel makes none again behind it: so it is interrupted anew, and runs on to that. */
static bool stop_call(struct tracee *tracee, struct thread *thread, bool interrupted,
		      struct stop *ret)
{
	thread->held = sharer_calls_asks(tracee, thread);
	ret->kind = STOP_ASKS;
	if (thread->held)
		return true;
	if (!interrupted) {
		tracee_continue(tracee, thread);
		return false;
	}
	thread->interrupted = true;
	thread->state = THREAD_RUNNING;
	if (ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0) < 0 ||
	    ptrace(PTRACE_CONT, thread->tid, 0, 0) < 0)
		thread->state = THREAD_GONE;
	return false;
}

static bool stop_exit(struct tracee *tracee, pid_t tid, int status, struct stop *ret)
{
	struct thread *thread = threads_find(tracee, tid);
	struct birth birth;

	children_expected(tracee, tid, &birth); /* killed before its first stop */
	children_forget_copy(tracee, tid);
	ret->status = status;
	if (thread)
		threads_remove(tracee, thread);
	tracee->unannounced -= thread && thread->unannounced;
	tracee->exited_thread = thread;
	if (tid == tracee->pid) {
		tracee->exited = true;
		ret->kind = STOP_EXIT;
		ret->thread = NULL;
		return true;
	}
	ret->kind = STOP_THREAD_EXIT;
	ret->thread = thread;
	return thread != NULL;
}

/* Has a group stop just ended?  That is reported by itself, then the SIGCONT, by the one
 * thread that takes it. */
static bool was_continued(const struct thread *thread, int status)
{
	return thread->state == THREAD_LISTENING ||
	       (thread->continued && status >> 8 == SIGCONT);
}

/* Of what is traced, and no thread of the process.  True: its status means nothing
 * for that, but maybe *reported. */
static bool stop_of_others(struct tracee *tracee, pid_t tid, int status, struct stop *ret,
			   bool *reported)
{
	*reported = false;
	if (threads_find(tracee, tid) || !runners_know(tracee, tid))
		return false;
	*reported = runners_stop(tracee, tid, status, ret);
	return true;
}

/* Turns one reaped status into a stop; false: handled here. */
static bool stop_decode(struct tracee *tracee, pid_t tid, int status, struct stop *ret)
{
	struct thread *thread;
	struct birth birth;
	bool interrupted, reported;

	memset(ret, 0, sizeof(*ret));
	if (stop_of_others(tracee, tid, status, ret, &reported))
		return reported;
	if (WIFEXITED(status) || WIFSIGNALED(status))
		return stop_exit(tracee, tid, status, ret);
	if (!WIFSTOPPED(status))
		return false;
	thread = threads_find(tracee, tid);
	if (!thread)
		thread = children_adopt(tracee, tid);
	if (!thread)
		return false;
	thread->continued = was_continued(thread, status);
	interrupted = thread->interrupted;
	thread->state = THREAD_STOPPED;
	thread->interrupted = false;
	thread->regs_read = false;
	thread->group_stop = false;
	thread->in_exec_stop = thread->held = thread->call_taken = false;
	thread->deliver = 0;
	thread->event = status >> 16;
	thread->at_call = sharer_calls_is(status);
	ret->thread = thread;
	ret->status = status;
	if (thread->unannounced) {
		if (!children_expected(tracee, tid, &birth))
			return false; /* stays stopped until its parent tells */
		children_stop(tracee, thread, &birth, ret);
		return true;
	}
	if (thread->sharer && !thread->attached)
		sharer_calls_ask_again(tracee, thread);
	thread->attached = true;
	if (status >> 16)
		return stop_event(tracee, thread, status >> 16, WSTOPSIG(status), ret);
	if (remote_is_stop(thread, status)) {
		thread->in_remote = false;
		ret->kind = STOP_QUIET;
		return true;
	}
	if (sharer_calls_is(status))
		return stop_call(tracee, thread, interrupted, ret);
	ret->kind = STOP_SIGNAL;
	ret->signal = thread->deliver = WSTOPSIG(status);
	return true;
}

/* The next status is of a time when all threads of before are gone. */
static bool ends_program(const struct tracee *tracee)
{
	int status = tracee->queue.at[tracee->queue_head].status;

	return tracee->queue.at[tracee->queue_head].tid == tracee->pid &&
	       (!WIFSTOPPED(status) || status >> 16 == PTRACE_EVENT_EXEC);
}

int tracee_next(struct tracee *tracee, bool wait, struct stop *ret)
{
	threads_free_exited(tracee);
	for (;;) {
		if (tracee->queue_head == tracee->queue.len) {
			int rc = reap(tracee, wait && !tracee->unannounced);
			if (!rc && !tracee->queue.len && wait && tracee->unannounced)
				rc = children_wait(tracee, ret);
			if (rc == -EAGAIN)
				continue;
			if (rc < 0 || tracee->queue.len == 0)
				return rc;
		}
		if (ends_program(tracee) && children_unannounced(tracee, ret))
			return 1;
		size_t i = tracee->queue_head++;
		if (stop_decode(tracee, tracee->queue.at[i].tid, tracee->queue.at[i].status,
				ret))
			return 1;
		threads_free_exited(tracee);
	}
}

int tracee_take(struct tracee *tracee, bool wait)
{
	struct stop stop;
	int rc = tracee_next(tracee, wait, &stop);

	if (rc == 1)
		tracee->handle(tracee->handle_arg, &stop);
	return rc;
}

void tracee_take_for(struct tracee *tracee, unsigned ms)
{
	const struct timespec moment = {0, MOMENT_NS};
	int64_t end = clock_ns() + ms * 1000000ll;

	while (!tracee->exited && clock_ns() < end)
		if (tracee_take(tracee, false) != 1)
			nanosleep(&moment, NULL);
}

/* ---- going on ---------------------------------------------------------- */

/* The leader may have been killed in its stop by the exec of another thread, which has its id
 * now and is stopped at the event of that: to be reaped first.  (Linux 5.13 and later refuse
 * all that is asked of it before, with ESRCH.) */
static bool is_another_now(const struct tracee *tracee, const struct thread *thread)
{
	siginfo_t info;

	return thread->tid == tracee->pid && tracee->count > 1 && !thread->in_exec_stop &&
	       ptrace(PTRACE_GETSIGINFO, thread->tid, 0, &info) == 0 &&
	       info.si_code == (SIGTRAP | PTRACE_EVENT_EXEC << 8);
}

void tracee_continue(struct tracee *tracee, struct thread *thread)
{
	int request = thread->group_stop ? PTRACE_LISTEN : sharer_calls_request(thread);
	int signal = thread->group_stop ? 0 : thread->deliver;

	if ((tracee->all_stopped && !signal) || thread->state != THREAD_STOPPED || thread->held)
		return;
	if (is_another_now(tracee, thread)) {
		thread->regs_read = false;
		thread->state = THREAD_RUNNING;
		return;
	}
	/* Before it runs on: its next stop comes first (get_signal() in kernel/signal.c). */
	if (tracee->all_stopped)
		thread->interrupted = ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0) == 0;
	thread_regs_flush(thread);
	if (ptrace(request, thread->tid, 0, (long)signal) < 0) {
		thread->state = THREAD_GONE; /* killed: its exit status will come */
		return;
	}
	thread->deliver = 0;
	thread->state = thread->group_stop ? THREAD_LISTENING : THREAD_RUNNING;
}

void thread_end(const struct tracee *tracee, struct thread *thread)
{
	if (thread->call_taken)
		sharer_calls_give_call(tracee, thread);
	thread_regs_flush(thread);
	ptrace(PTRACE_DETACH, thread->tid, 0, (long)(thread->group_stop ? 0 : thread->deliver));
	thread->state = THREAD_GONE;
}

void tracee_let_go(struct tracee *tracee, struct thread *thread)
{
	thread_end(tracee, thread);
	threads_remove(tracee, thread);
	threads_free(tracee, thread);
}
