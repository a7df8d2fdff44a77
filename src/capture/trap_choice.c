/*
 * Which trap: the choice of its signal, and targets under a seccomp filter.
 *
 * The soft trap's signal must be one that is ignored by default and that the program
 * does not catch.  A program that begins to catch it (sigaction() is hooked) makes the
 * traps change to another before it does.  Best is one that no thread blocks, as who
 * blocks a signal may wait for it (blocked_signal.c).
 *
 * The soft trap makes three system calls.  Where a filter forbids them the program
 * would be killed, by us; so filters are read (never tried), and the hard trap, a break
 * instruction, is used where they forbid or can't be read.  The hard trap needs no
 * system call, but is a SIGTRAP that kills whoever meets it untraced: the weaker
 * promise, which is said.
 *
 * A filter may come later.  Installing one needs PR_SET_NO_NEW_PRIVS or privilege; both
 * usual ways go through libc's prctl() or libseccomp, which are hooked: the traps are
 * hard before the filter is there.
 *
 * Syscall User Dispatch (tracer/dispatch.h) makes SIGSYS of system calls that a thread makes
 * outside of one range.  Where our stubs are within it all is well; else the traps are hard.
 * Nothing else checks the trap's calls: Landlock's scopes,
 * Linux 6.12, let a thread signal itself.
 */
#include "capture/trap_choice.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#include "capture/trap_empty.h"
#include "tracer/dispatch.h"
#include "tracer/seccomp.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static void notify_break(struct engine *engine, const char *why)
{
	notify_warning(&engine->notifier,
		       "pid %d %s: break instructions are used; do not kill memtrace with "
		       "SIGKILL, the process could die with it",
		       engine->tracee.pid, why);
}

struct question {
	struct engine *engine;
	const struct seccomp_data *calls;
	size_t count;
	int answer; /* as seccomp_allows(), dispatch_allows(); the worst of all threads */
};

static void thread_ask_filters(void *arg, struct thread *thread)
{
	struct question *q = arg;
	struct status status;
	int answer;

	if (q->answer != 1 || status_read(thread->tid, 0, &status) ||
	    status.seccomp == SECCOMP_MODE_DISABLED)
		return;
	if (status.seccomp == SECCOMP_MODE_STRICT)
		answer = 0;
	else if (thread->state != THREAD_STOPPED)
		answer = -EBUSY;
	else
		answer = seccomp_allows(thread->tid, q->calls, q->count);
	q->answer = answer < q->answer ? answer : q->answer;
}

/* NULL: they let all that the trap does pass. */
static const char *filters_objection(struct engine *engine)
{
	const struct arch *arch = engine->tracee.arch;
	uint64_t tid = (uint64_t)engine->tracee.pid, signo = (uint64_t)engine->traps.signo;
	uint64_t process = (uint64_t)tracee_process(&engine->tracee);
	/* Pointers are any; the rest is what the trap passes. */
	const struct seccomp_data to_any = {
		.nr = arch->trap->calls[2], .arch = arch->audit_arch, .args = {tid, signo}};
	const struct seccomp_data calls[] = {
		{.nr = arch->trap->calls[0],
		 .arch = arch->audit_arch,
		 .args = {SIG_UNBLOCK, 1, 1, arch->signal_set_len}},
		{.nr = arch->trap->calls[0],
		 .arch = arch->audit_arch,
		 .args = {SIG_SETMASK, 1, 0, arch->signal_set_len}},
		{.nr = arch->trap->calls[1], .arch = arch->audit_arch},
		!process ? to_any
			 : (struct seccomp_data){.nr = arch->trap->tgkill,
						 .arch = arch->audit_arch,
						 .args = {process, tid, signo}},
	};
	struct question q = {engine, calls, ARRAY_SIZE(calls), 1};

	if (!engine->traps.filtered)
		return NULL;
	tracee_for_each(&engine->tracee, thread_ask_filters, &q);
	if (q.answer == 1)
		return NULL;
	return q.answer == 0 ? "has a seccomp filter that forbids what memtrace does"
			     : "has a seccomp filter that may not be read (CAP_SYS_ADMIN)";
}

static void thread_ask_dispatch(void *arg, struct thread *thread)
{
	struct question *q = arg;
	const struct hooks *hooks = &q->engine->hooks;

	for (size_t i = 0; i < hooks->areas.len && q->answer == 1; i++) {
		const struct stub_area *area = &hooks->areas.at[i].area;

		if (hooks->areas.at[i].used)
			q->answer = dispatch_allows(thread->tid, area->base,
						    area->base + area->len);
	}
}

static const char *dispatch_objection(struct engine *engine)
{
	struct question q = {.engine = engine, .answer = 1};

	tracee_for_each(&engine->tracee, thread_ask_dispatch, &q);
	if (q.answer == 1)
		return NULL;
	return q.answer == 0
		       ? "has its system calls dispatched to SIGSYS (Syscall User Dispatch)"
		       : "catches SIGSYS, and may have its system calls dispatched to it "
			 "(before Linux 6.4 that can't be read)";
}

void trap_choice_kind(struct engine *engine)
{
	const char *why = engine->traps.hard ? NULL : filters_objection(engine);

	if (!engine->traps.hard && !why)
		why = dispatch_objection(engine);
	if (!why)
		return;
	engine->traps.hard = true;
	notify_break(engine, why);
}

/* Would the traps of a thread be dispatched behind this prctl()? */
static bool is_dispatched(const struct engine *engine, const uint64_t argument[4])
{
	const struct hooks *hooks = &engine->hooks;
	bool spared = true;

	for (size_t i = 0; i < hooks->areas.len; i++) {
		const struct stub_area *area = &hooks->areas.at[i].area;

		if (hooks->areas.at[i].used)
			spared &= dispatch_spares(argument[1], argument[2], argument[3],
						  area->base, area->base + area->len);
	}
	return !spared && dispatch_is_known();
}

void trap_choice_on_prctl(struct engine *engine, const uint64_t argument[4])
{
	int option = (int)argument[0];

	if (engine->traps.hard)
		return;
	if (option == PR_SET_SECCOMP || option == PR_SET_NO_NEW_PRIVS)
		notify_break(engine, "is about to install a seccomp filter");
	else if (option == PR_SET_SYSCALL_USER_DISPATCH && is_dispatched(engine, argument))
		notify_break(engine, "is about to have its system calls dispatched to SIGSYS");
	else
		return;
	engine->pending.set |= PENDING_HARD;
}

/* The signals that some thread blocks: it may wait for them. */
static uint64_t signals_blocked(pid_t pid)
{
	struct tid_list tids = {0};
	struct status status;
	uint64_t blocked = 0;

	if (status_threads(pid, &tids) == 0)
		for (size_t i = 0; i < tids.len; i++)
			if (status_read(pid, tids.at[i], &status) == 0)
				blocked |= status.blocked;
	vec_deinit(&tids);
	return blocked;
}

static int candidate(uint64_t unfit)
{
	static const int candidates[] = {SIGURG, SIGWINCH, SIGCHLD};

	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++)
		if (!(unfit & signal_bit(candidates[i])))
			return candidates[i];
	return 0;
}

/* 0: there is none but those that the program catches. */
static int signal_free(pid_t pid, int except)
{
	struct status status;
	uint64_t unfit;
	int signo;

	if (status_read(pid, 0, &status))
		return SIGURG;
	unfit = status.caught | status.pending | status.shared_pending;
	unfit |= except ? signal_bit(except) : 0;
	signo = candidate(unfit | signals_blocked(pid));
	return signo ? signo : candidate(unfit);
}

static void contest(struct engine *engine)
{
	if (!engine->traps.contested)
		notify_warning(
			&engine->notifier,
			"pid %d catches SIGURG, SIGWINCH and SIGCHLD: one of its SIGURGs "
			"may be lost, and its "
			"handler may run for nothing if memtrace is killed",
			engine->tracee.pid);
	engine->traps.contested = true;
	engine->tracee.own_signal = 0; /* it may be the program's */
}

void trap_choice_signal(struct engine *engine, int except)
{
	int signo = signal_free(engine->tracee.pid, except);

	engine->traps.contested = false;
	engine->tracee.own_signal = signo;
	engine->traps.signo = signo ? signo : SIGURG;
	if (!signo)
		contest(engine);
}

void trap_choice_on_sigaction(struct engine *engine, int signo)
{
	if (signo != engine->traps.signo || engine->traps.hard ||
	    !engine->tracee.arch->trap->change_signal)
		return;
	engine->pending.set |= PENDING_SIGNAL;
}

int trap_choice_change_signal(struct engine *engine, struct err *err)
{
	int signo = signal_free(engine->tracee.pid, engine->traps.signo), rc;

	if (!signo) {
		contest(engine);
		return 0;
	}
	rc = trap_empty(&engine->traps, false, err);
	if (!rc)
		rc = traps_change_signal(&engine->traps, signo, err);
	return rc == -EAGAIN ? 0 : rc; /* the old one goes on working */
}

int trap_choice_use_break(struct engine *engine, struct err *err)
{
	int rc = trap_empty(&engine->traps, true, err);

	if (rc && rc != -EAGAIN)
		return rc;
	return traps_use_break(&engine->traps, err);
}
