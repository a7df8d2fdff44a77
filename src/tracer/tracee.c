/*
 * Threads and their stops: the producer that all of ptrace's awkwardness is
 * confined to.  What a status means, by ptrace(2) for PTRACE_SEIZEd threads:
 *
 *   exited / signalled                        the thread (or, for the leader, the process)
 * ended event STOP, signal SIGTRAP                our interrupt, or a new thread's first stop
 *   event STOP, signal SIGSTOP, SIGTSTP ...   group stop: the target's own
 *   event CLONE, FORK, VFORK                  the new task's id is the message; its first
 *                                             stop may have come before (kept as unclaimed)
 *   event VFORK_DONE                          the parent runs again
 *   event EXEC                                message: the id the caller had before
 *   none, signal                              about to be delivered
 */
#include "tracer/tracee.h"

#include <elf.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tracer/threads.h"

enum { LOOK_MOST = 8 };

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

/* ---- registers --------------------------------------------------------- */

struct regs *thread_regs(const struct tracee *tracee, struct thread *thread)
{
	struct iovec iov = {thread->regs.bytes, tracee->arch->regs_len};

	if (thread->regs_read)
		return &thread->regs;
	if (ptrace(PTRACE_GETREGSET, thread->tid, NT_PRSTATUS, &iov) < 0)
		return NULL;
	thread->regs.len = (uint32_t)iov.iov_len;
	thread->regs_read = true;
	thread->regs_changed = 0;
	return &thread->regs;
}

bool thread_was_killed(const struct thread *thread)
{
	unsigned long message;

	return ptrace(PTRACE_GETEVENTMSG, thread->tid, 0, &message) < 0 && errno == ESRCH;
}

void thread_regs_commit(struct thread *thread)
{
	struct iovec iov = {thread->regs.bytes, thread->regs_changed};

	if (thread->regs_read && thread->regs_changed)
		ptrace(PTRACE_SETREGSET, thread->tid, NT_PRSTATUS, &iov);
	thread->regs_changed = 0;
}

static void regs_flush(struct thread *thread)
{
	thread_regs_commit(thread);
	thread->regs_read = false;
}

/* ---- reaping ----------------------------------------------------------- */

static bool is_programs_signal(const struct tracee *tracee, int status)
{
	return WIFSTOPPED(status) && !(status >> 16) && WSTOPSIG(status) != SIGTRAP &&
	       WSTOPSIG(status) != tracee->own_signal;
}

static bool queue_push(struct tracee *tracee, pid_t tid, int status)
{
	size_t at = tracee->queue.len;

	if (!vec_reserve(&tracee->queue, at + 1))
		return false;
	tracee->queue.len++;
	if (is_programs_signal(tracee, status)) {
		tracee->queue.at[at] = tracee->queue.at[tracee->queue_urgent];
		at = tracee->queue_urgent++;
	}
	tracee->queue.at[at].tid = tid;
	tracee->queue.at[at].status = status;
	return true;
}

/* Most stops of most programs come one by one: a look for more that found nothing is made
 * less often, down to every LOOK_MOST-th time, until one finds something. */
static bool look_for_more(struct tracee *tracee)
{
	if (tracee->count == 1 && tracee->expected.len == 0)
		return false; /* nobody else to be fair to */
	if (tracee->looking.left) {
		tracee->looking.left--;
		return false;
	}
	return true;
}

static void looked_for_more(struct tracee *tracee, bool found)
{
	unsigned pause = tracee->looking.pause;

	pause = found ? 0 : pause < LOOK_MOST ? pause + 1 : pause;
	tracee->looking.pause = tracee->looking.left = pause;
}

static void thread_reap(void *arg, struct thread *thread)
{
	struct tracee *tracee = arg;
	int status;

	if ((thread->state == THREAD_RUNNING || thread->state == THREAD_LISTENING) &&
	    waitpid(thread->tid, &status, __WALL | __WNOTHREAD | WNOHANG) == thread->tid)
		queue_push(tracee, thread->tid, status);
}

/* Blocks for one (with wait), then takes all others that are ready.  A signal of the
 * program's ends the batch; of every second batch only, as whoever sends signals all the
 * time would keep those from us that come last in the kernel's list. */
static int queue_fill(struct tracee *tracee, bool wait)
{
	int flags = __WALL | __WNOTHREAD | (wait ? 0 : WNOHANG);
	bool may_hurry = !tracee->hurried;
	int status;

	tracee->hurried = false;
	tracee->queue.len = tracee->queue_head = tracee->queue_urgent = 0;
	/* (there may be other children of ours, for whose end to wait: the guardian) */
	if (wait && !tracee->count && !tracee->expected.len)
		return -ECHILD;
	/* Each by its id: a search for any looks at all that stand already, a thousand
	 * times where a thousand are asked to. */
	if (tracee->standing && !wait)
		tracee_for_each(tracee, thread_reap, tracee);
	for (;;) {
		pid_t tid = waitpid(-1, &status, flags);
		if (tid < 0 && tracee->queue.len == 0)
			return errno == EINTR ? 0 : -errno;
		if (tracee->queue.len == 1 && wait)
			looked_for_more(tracee, tid > 0);
		if (tid <= 0)
			return 0;
		if (!queue_push(tracee, tid, status))
			return -ENOMEM;
		tracee->hurried = may_hurry && tracee->queue_urgent;
		if (tracee->hurried)
			return 0;
		if (tracee->queue.len == 1 && wait && !look_for_more(tracee))
			return 0;
		flags |= WNOHANG;
	}
}

/* ---- new tasks --------------------------------------------------------- */

/*
 * Without kcmp (a kernel without CONFIG_KCMP, a container's seccomp filter): is a word that
 * is written below the child's stack there in the process, too?  Nobody relies on what is
 * there, so it need not be put back if we die, and a child that shares memory has a stack of
 * its own.  Where it can't be tried it is taken to share: that is wrong in what is counted,
 * the contrary would be deadly.
 */
static bool shares_word(struct tracee *tracee, struct thread *child)
{
	enum { BELOW = 512 }; /* farther than a red zone */
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, child);
	taddr_t at = regs ? (regs_read(arch, regs, arch->reg_sp) - BELOW) & ~15ull : 0;
	long there, mark;
	uint64_t seen = 0;

	errno = 0;
	there = ptrace(PTRACE_PEEKDATA, child->tid, (void *)(uintptr_t)at, 0);
	mark = there ^ (long)0x9e3779b97f4a7c15ull;
	if (!at || errno || ptrace(PTRACE_POKEDATA, child->tid, (void *)(uintptr_t)at, mark))
		return true;
	if (target_read(&tracee->target, at, &seen, sizeof(mark)))
		seen = 0;
	ptrace(PTRACE_POKEDATA, child->tid, (void *)(uintptr_t)at, there);
	return !memcmp(&seen, &mark, sizeof(mark));
}

/* A vfork child does unless it is known not to. */
static bool shares_memory(struct tracee *tracee, struct thread *child, bool vfork)
{
	long rc = syscall(SYS_kcmp, tracee_alive(tracee), child->tid, KCMP_VM, 0, 0);

	if (rc >= 0)
		return rc == 0;
	return vfork || shares_word(tracee, child);
}

static bool child_is_expected(struct tracee *tracee, pid_t pid, bool *vfork)
{
	for (size_t i = 0; i < tracee->expected.len; i++) {
		if (tracee->expected.at[i].pid != pid)
			continue;
		*vfork = tracee->expected.at[i].vfork;
		tracee->expected.at[i] = tracee->expected.at[--tracee->expected.len];
		return true;
	}
	return false;
}

/* A new process (not thread), stopped for the first time and announced. */
static void child_stop(struct tracee *tracee, struct thread *child, bool vfork,
		       struct stop *ret)
{
	child->unclaimed = false;
	child->attached = true;
	ret->kind = STOP_CHILD;
	ret->thread = child;
	ret->shares_memory = shares_memory(tracee, child, vfork);
	child->guest = ret->shares_memory;
}

/* The parent's event: the child has stopped already, or will. */
static bool child_announced(struct tracee *tracee, pid_t pid, bool vfork, struct stop *ret)
{
	struct thread *child = threads_find(tracee, pid);

	if (child && child->unclaimed) {
		child_stop(tracee, child, vfork, ret);
		return true;
	}
	if (vec_reserve(&tracee->expected, tracee->expected.len + 1)) {
		tracee->expected.at[tracee->expected.len].pid = pid;
		tracee->expected.at[tracee->expected.len++].vfork = vfork;
	}
	return false;
}

/* A first stop from a task that we have not heard of. */
static struct thread *task_adopt(struct tracee *tracee, pid_t tid)
{
	struct thread *thread = threads_add(tracee, tid);
	struct status status;

	if (!thread)
		return NULL;
	thread->unclaimed = status_read(tid, 0, &status) == 0 && status.tgid != tracee->pid;
	return thread;
}

pid_t tracee_alive(struct tracee *tracee)
{
	struct status status;

	if (!tracee->alive || status_read(tracee->pid, tracee->alive, &status) ||
	    status.state == 'Z' || status.state == 'X')
		tracee->alive = status_alive(tracee->pid);
	return tracee->alive;
}

/* ---- one status -------------------------------------------------------- */

static unsigned long event_message(pid_t tid)
{
	unsigned long message = 0;
	ptrace(PTRACE_GETEVENTMSG, tid, 0, &message);
	return message;
}

static bool stop_exec(struct tracee *tracee, struct thread *thread, struct stop *ret)
{
	if (thread->guest) {
		ret->kind = STOP_GUEST_EXEC;
		return true;
	}
	threads_keep_only(tracee, thread);
	thread->in_vfork = false;
	ret->kind = STOP_EXEC;
	return true;
}

/* An event stop that is not worth handing out runs on.  False: nothing to report. */
static bool stop_event(struct tracee *tracee, struct thread *thread, int event, int signal,
		       struct stop *ret)
{
	bool vfork = event == PTRACE_EVENT_VFORK, reported = false;

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
		thread->in_vfork = vfork;
		reported =
			child_announced(tracee, (pid_t)event_message(thread->tid), vfork, ret);
		break;
	case PTRACE_EVENT_CLONE: {
		pid_t tid = (pid_t)event_message(thread->tid);
		struct thread *new = threads_find(tracee, tid);
		struct status status;

		/* CLONE is also what clone() without an exit signal reports. */
		if (status_read(tid, 0, &status) == 0 && status.tgid != tracee->pid)
			reported = child_announced(tracee, tid, true, ret);
		else if (!new)
			threads_add(tracee, tid);
		break;
	}
	case PTRACE_EVENT_VFORK_DONE:
		thread->in_vfork = false;
		break;
	default:
		break;
	}
	tracee_continue(tracee, thread);
	return reported;
}

static bool stop_exit(struct tracee *tracee, pid_t tid, int status, struct stop *ret)
{
	struct thread *thread = threads_find(tracee, tid);
	bool vfork;

	child_is_expected(tracee, tid, &vfork); /* killed before its first stop */
	ret->status = status;
	if (thread)
		threads_remove(tracee, thread);
	tracee->corpse = thread;
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
	return thread->state == THREAD_LISTENING || (thread->continued && status >> 8 == SIGCONT);
}

/* Turns one reaped status into a stop; false: handled here. */
static bool stop_decode(struct tracee *tracee, pid_t tid, int status, struct stop *ret)
{
	struct thread *thread;
	bool vfork;

	memset(ret, 0, sizeof(*ret));
	if (WIFEXITED(status) || WIFSIGNALED(status))
		return stop_exit(tracee, tid, status, ret);
	if (!WIFSTOPPED(status))
		return false;
	thread = threads_find(tracee, tid);
	if (!thread)
		thread = task_adopt(tracee, tid);
	if (!thread)
		return false;
	thread->continued = was_continued(thread, status);
	thread->state = THREAD_STOPPED;
	thread->interrupted = false;
	thread->regs_read = false;
	thread->group_stop = false;
	thread->deliver = 0;
	ret->thread = thread;
	ret->status = status;
	if (thread->unclaimed) {
		if (!child_is_expected(tracee, tid, &vfork))
			return false; /* stays stopped until its parent tells */
		child_stop(tracee, thread, vfork, ret);
		return true;
	}
	thread->attached = true;
	if (status >> 16)
		return stop_event(tracee, thread, status >> 16, WSTOPSIG(status), ret);
	ret->kind = STOP_SIGNAL;
	ret->signal = thread->deliver = WSTOPSIG(status);
	return true;
}

int tracee_next(struct tracee *tracee, bool wait, struct stop *ret)
{
	threads_bury(tracee);
	for (;;) {
		if (tracee->queue_head == tracee->queue.len) {
			int rc = queue_fill(tracee, wait);
			if (rc < 0 || tracee->queue.len == 0)
				return rc;
		}
		size_t i = tracee->queue_head++;
		if (stop_decode(tracee, tracee->queue.at[i].tid, tracee->queue.at[i].status,
				ret))
			return 1;
		threads_bury(tracee);
	}
}

/* ---- going on ---------------------------------------------------------- */

void tracee_continue(struct tracee *tracee, struct thread *thread)
{
	int request = thread->group_stop ? PTRACE_LISTEN : PTRACE_CONT;
	int signal = thread->group_stop ? 0 : thread->deliver;

	if ((tracee->standing && !signal) || thread->state != THREAD_STOPPED)
		return;
	/* Before it runs on: its next stop comes first (get_signal() in kernel/signal.c). */
	if (tracee->standing)
		thread->interrupted = ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0) == 0;
	regs_flush(thread);
	if (ptrace(request, thread->tid, 0, (long)signal) < 0) {
		thread->state = THREAD_GONE; /* killed: its exit status will come */
		return;
	}
	thread->deliver = 0;
	thread->state = thread->group_stop ? THREAD_LISTENING : THREAD_RUNNING;
}

void thread_end(struct thread *thread)
{
	regs_flush(thread);
	ptrace(PTRACE_DETACH, thread->tid, 0, (long)(thread->group_stop ? 0 : thread->deliver));
	thread->state = THREAD_GONE;
}

void tracee_let_go(struct tracee *tracee, struct thread *thread)
{
	thread_end(thread);
	threads_remove(tracee, thread);
	threads_free(tracee, thread);
}
