/*
 * Reaping: statuses in batches, the program's own signals first, and nobody starved.
 *
 * A stop by which a thread is to be delivered a signal of the program's is never reaped, only
 * looked at (WNOWAIT).  wait_task_stopped() in kernel/exit.c clears the code of a stop that is
 * reaped, and what ptrace_stop() finds there when the thread goes on is the signal that it is
 * delivered: by PTRACE_CONT ours, which need not have reaped it (ptrace_resume() says so);
 * when we die, what is there.  So at no moment does nobody but us know of a signal.
 *
 *   reaped       ends of threads, event stops, the signal of our own traps: nothing is
 *                delivered when we die
 *   looked at    the program's signals, until the thread is continued
 *
 * A look for any thread finds the same one again until it goes on.  So such a signal ends the
 * batch, and where one is kept (death.c of capture/) the others are looked for by their ids.
 *
 * Where nobody else is looked for our own signal is not reaped either, as that is a system
 * call: the thread is continued soon.  If it is not, a later look takes it, and hands nothing
 * out.
 *
 * Before Linux 4.7 waitid() does not know threads (__WALL): there all is reaped.
 */
#include "tracer/reap.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "tracer/threads.h"

enum { LOOK_MOST = 8, KEPT_REST_NS = 200000, LOOK_REST_NS = 50000, LOOK_ASLEEP_MS = 2000,
       LOOK_LIMIT_MS = 10000 };

static bool is_programs_signal(const struct tracee *tracee, pid_t tid, int status)
{
	int signo = WSTOPSIG(status);
	siginfo_t info;

	if (!WIFSTOPPED(status) || status >> 16 || signo == tracee->own_signal ||
	    signo == (SIGTRAP | 0x80)) /* a system call's */
		return false;
	/* That of a break instruction is deadly, if it is not reaped when we die. */
	return signo != SIGTRAP || !tracee->own_breaks || !thread_siginfo(tid, &info) ||
	       info.si_code != SI_KERNEL;
}

/* In the form of wait4(). */
static int status_of(const siginfo_t *info)
{
	switch (info->si_code) {
	case CLD_EXITED:
		return (info->si_status & 0xff) << 8;
	case CLD_KILLED:
		return info->si_status & 0x7f;
	case CLD_DUMPED:
		return (info->si_status & 0x7f) | 0x80;
	default:
		return info->si_status << 8 | 0x7f;
	}
}

/* Looks at one thread's status, or (-1) any's; it stays.  0: there is none; -errno. */
static pid_t look(pid_t tid, int flags, int *status)
{
	siginfo_t info;

	info.si_pid = 0;
	if (waitid(tid < 0 ? P_ALL : P_PID, tid < 0 ? 0 : (id_t)tid, &info,
		   WEXITED | WSTOPPED | WNOWAIT | __WALL | __WNOTHREAD | flags) < 0)
		return -errno;
	*status = status_of(&info);
	return info.si_pid;
}

static pid_t take(pid_t tid, int flags, int *status)
{
	pid_t got = waitpid(tid, status, __WALL | __WNOTHREAD | flags);

	return got < 0 ? -errno : got;
}

static bool queue_push(struct tracee *tracee, pid_t tid, int status, bool ahead)
{
	size_t at = tracee->queue.len;

	if (!vec_reserve(&tracee->queue, at + 1))
		return false;
	tracee->queue.len++;
	if (ahead) { /* the others stay in order */
		size_t first = tracee->queue_signals++;

		memmove(&tracee->queue.at[first + 1], &tracee->queue.at[first],
			(at - first) * sizeof(*tracee->queue.at));
		at = first;
	}
	tracee->queue.at[at].tid = tid;
	tracee->queue.at[at].status = status;
	return true;
}

enum found { FOUND_NONE, FOUND_TAKEN, FOUND_SIGNAL, FOUND_KEPT };

static bool is_signal_stop(int status)
{
	return WIFSTOPPED(status) && !(status >> 16);
}

/* What a look has found: reaped, unless it is a signal of the program's.  last: no other look
 * follows before the stops that were found are handled. */
static enum found found(struct tracee *tracee, pid_t tid, int status, bool last)
{
	const struct thread *thread = threads_find(tracee, tid);
	bool signal = is_programs_signal(tracee, tid, status);
	bool known = thread && thread->state == THREAD_STOPPED && is_signal_stop(status);
	bool leave = last && !known && is_signal_stop(status) &&
		     WSTOPSIG(status) == tracee->own_signal;

	if (known && signal)
		return FOUND_KEPT;
	if (!signal && !leave && take(tid, WNOHANG, &status) != tid)
		return FOUND_NONE; /* killed: its end will come */
	if (known && is_signal_stop(status))
		return FOUND_NONE; /* handed out before */
	if (!queue_push(tracee, tid, status, signal))
		return FOUND_NONE;
	return signal ? FOUND_SIGNAL : FOUND_TAKEN;
}

/* Before Linux 4.7. */
static enum found found_by_taking(struct tracee *tracee, pid_t tid, int status)
{
	bool signal = is_programs_signal(tracee, tid, status);

	if (!queue_push(tracee, tid, status, signal))
		return FOUND_NONE;
	return signal ? FOUND_SIGNAL : FOUND_TAKEN;
}

/* tid -1: any.  *ret: what it was.  The thread's id, 0 for nothing, or -errno. */
static pid_t find(struct tracee *tracee, pid_t tid, int flags, bool last, enum found *ret)
{
	int status;
	pid_t got = tracee->takes_all ? -EINVAL : look(tid, flags, &status);

	*ret = FOUND_NONE;
	if (got > 0)
		*ret = found(tracee, got, status, last);
	if (got != -EINVAL)
		return got;
	tracee->takes_all = true;
	got = take(tid, flags, &status);
	if (got > 0)
		*ret = found_by_taking(tracee, got, status);
	return got;
}

static void thread_find(void *arg, struct thread *thread)
{
	enum found what;

	if (thread->state != THREAD_STOPPED)
		find(arg, thread->tid, WNOHANG, false, &what);
}

/* Each by its id: all that are ready, whatever is kept.  (A search for any looks at all that
 * are stopped already, a thousand times where a thousand are asked to.) */
static void find_each(struct tracee *tracee)
{
	enum found what;

	tracee_for_each(tracee, thread_find, tracee);
	for (size_t i = 0; i < tracee->expected.len; i++)
		find(tracee, tracee->expected.at[i].pid, WNOHANG, false, &what);
}

/* A signal of the program's is kept, and hides what else there may be. */
static void find_behind(struct tracee *tracee, bool wait)
{
	struct timespec rest = {0, KEPT_REST_NS};

	find_each(tracee);
	if (wait && !tracee->queue.len)
		nanosleep(&rest, NULL);
}

/* Most stops of most programs come one by one: a look for more that found nothing is made
 * less often, down to every LOOK_MOST-th time, until one finds something. */
static bool look_for_more(struct tracee *tracee)
{
	if (tracee->count == 1 && tracee->expected.len == 0)
		return false; /* nobody else to be fair to */
	if (tracee->poll_backoff.left) {
		tracee->poll_backoff.left--;
		return false;
	}
	return true;
}

static void looked_for_more(struct tracee *tracee, bool found)
{
	unsigned pause = tracee->poll_backoff.pause;

	pause = found ? 0 : pause < LOOK_MOST ? pause + 1 : pause;
	tracee->poll_backoff.pause = tracee->poll_backoff.left = pause;
}

int reap(struct tracee *tracee, bool wait)
{
	bool each = tracee->batch_cut || (tracee->all_stopped && !wait);
	int flags = wait ? 0 : WNOHANG;
	enum found what;

	tracee->batch_cut = false;
	tracee->queue.len = tracee->queue_head = tracee->queue_signals = 0;
	/* (there may be other children of ours, for whose end to wait: the guardian) */
	if (wait && !tracee->count && !tracee->expected.len && !tracee->runners.len)
		return -ECHILD;
	if (each)
		find_each(tracee);
	while (!tracee->queue_signals) {
		size_t before = tracee->queue.len;
		bool last = before == 0 && wait && !look_for_more(tracee);
		pid_t tid = find(tracee, -1, before ? WNOHANG : flags, last, &what);

		if (tid < 0 && before == 0)
			return tid == -EINTR ? 0 : tid;
		if (before == 1 && wait)
			looked_for_more(tracee, tid > 0);
		if (tid <= 0)
			return 0;
		if (what == FOUND_KEPT)
			find_behind(tracee, wait);
		if (what == FOUND_KEPT)
			return 0;
		if (last && tracee->queue.len == 1)
			break;
	}
	tracee->batch_cut = tracee->queue_signals && !each;
	return 0;
}

int reap_peek(pid_t tid, int *status)
{
	return look(tid, WNOHANG, status);
}

/* It sleeps in the kernel; or nothing is to be expected of it, on the slowest machine. */
static bool is_late(pid_t tid, int64_t waited)
{
	struct status is;

	return waited > LOOK_LIMIT_MS ||
	       (waited > LOOK_ASLEEP_MS && !status_read(tid, 0, &is) && is.state == 'D');
}

bool reap_look(pid_t tid, int *status)
{
	const struct timespec rest = {0, LOOK_REST_NS};
	int64_t since = clock_ms();

	for (;;) {
		pid_t got = look(tid, WNOHANG, status);

		got = got == -EINVAL ? take(tid, WNOHANG, status) : got;
		if (got || is_late(tid, clock_ms() - since))
			return got == tid;
		nanosleep(&rest, NULL);
	}
}

static void thread_find_end(void *arg, struct thread *thread)
{
	struct tracee *tracee = arg;
	int status;

	if (look(thread->tid, WNOHANG, &status) == thread->tid && !WIFSTOPPED(status) &&
	    take(thread->tid, WNOHANG, &status) == thread->tid)
		queue_push(tracee, thread->tid, status, false);
}

void reap_more(struct tracee *tracee)
{
	enum found what;
	int status;
	pid_t tid;

	while ((tid = look(-1, WNOHANG, &status)) > 0 &&
	       !is_programs_signal(tracee, tid, status))
		if (found(tracee, tid, status, false) == FOUND_NONE)
			break;
	if (tid == -EINVAL)
		while (find(tracee, -1, WNOHANG, false, &what) > 0)
			;
	else
		tracee_for_each(tracee, thread_find_end, tracee);
}
