/*
 * Copies of the process; see copy.h.
 *
 * The stops of the thread that makes one, in order; only a stop by a signal (SIGSTOP can't be
 * blocked) may come between, which is left to be handed out:
 *
 *    entry, exit  of rt_sigprocmask(): from its exit on the thread is not to be sent home by us
 *                 but goes there by itself, as only it can put the mask back and reap
 *    CLONE        the helper is born: see below
 *    exit         of clone()
 *    entry, exit  of waitid()
 *    entry, exit  of rt_sigprocmask()
 *
 * and the helper's: its first, CLONE or its end (then the status says why there is no copy).
 */
#include "tracer/copy.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/kernel.h"
#include "base/syscalls.h"
#include "base/types.h"
#include "tracer/children.h"
#include "tracer/remote.h"
#include "tracer/remote_parts.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

enum {
	GET_SIGMASK = 0x420a, /* PTRACE_GETSIGMASK, Linux 3.11 */
	BIRTH_MS = 1000,
	CLONE_MS = 120000, /* of some 10 ms a GB */
	P_PID_ = 1,
	VM = 0x100, /* CLONE_VM, CLONE_FILES */
	FILES = 0x400,
};

struct copying {
	struct remote_run run;
	pid_t copy;
	int why; /* there is none: -errno of the helper's call */
	bool blocked;
	unsigned stops;
};

/* ---- birth ------------------------------------------------------------- */

static pid_t born(pid_t parent)
{
	unsigned long message = 0;
	int status;

	if (ptrace(PTRACE_GETEVENTMSG, parent, 0, &message) < 0 || !message)
		return 0;
	if (remote_next_stop((pid_t)message, BIRTH_MS, &status) || !WIFSTOPPED(status))
		return 0;
	remote_take((pid_t)message);
	return (pid_t)message;
}

static bool is_event(int status, int event)
{
	return WIFSTOPPED(status) && status >> 8 == (SIGTRAP | event << 8);
}

static void prefer_for_oom(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1000", 4) < 0) /* (without it it is as likely to go as the process) */
		errno = 0;
	close(fd);
}

/* To behind its one system call.  (Before Linux 5.9 that does nothing, and the table of
 * descriptors stays shared.) */
static bool settle(pid_t copy)
{
	int status;

	if (ptrace(PTRACE_SETOPTIONS, copy, 0,
		   (long)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD)) < 0)
		return false;
	for (int stop = 0; stop < 2; stop++) {
		if (ptrace(PTRACE_SYSCALL, copy, 0, 0) < 0 ||
		    remote_next_stop(copy, BIRTH_MS, &status) || !remote_is_call_stop(status))
			return false;
		remote_take(copy);
	}
	prefer_for_oom(copy);
	return true;
}

/* The helper is at its first stop. */
static void help(struct copying *c, pid_t helper)
{
	int status = 0;

	c->why = -ESRCH;
	if (ptrace(PTRACE_CONT, helper, 0, 0) < 0 ||
	    remote_next_stop(helper, CLONE_MS, &status))
		return;
	if (is_event(status, PTRACE_EVENT_CLONE)) {
		remote_take(helper);
		c->copy = born(helper);
		c->why = c->copy ? 0 : -ESRCH;
		if (c->copy && !settle(c->copy)) {
			copy_end(c->copy);
			c->copy = 0;
			c->why = -EINTR;
		}
		ptrace(PTRACE_DETACH, helper, 0, 0);
	} else if (WIFEXITED(status)) {
		remote_take(helper);
		c->why = WEXITSTATUS(status) - 256; /* one byte of -errno */
	} else if (WIFSTOPPED(status)) {
		remote_take(helper);
		ptrace(PTRACE_DETACH, helper, 0, 0);
	} else {
		remote_take(helper);
	}
}

/* ---- the thread -------------------------------------------------------- */

static int read_stop(const struct copying *c, taddr_t *pc, int64_t *result)
{
	const struct tracee *tracee = c->run.tracee;
	struct regs regs = {.len = tracee->arch->regs_len};
	struct iovec iov = {regs.bytes, tracee->arch->regs_len};

	if (ptrace(PTRACE_GETREGSET, c->run.thread->tid, NT_PRSTATUS, &iov) < 0)
		return -errno;
	*pc = regs_read(tracee->arch, &regs, tracee->arch->reg_pc);
	*result = regs_syscall_result(tracee->arch, &regs);
	return 0;
}

/* A stop of one of the calls.  1: it was the last. */
static int call_stop(struct copying *c)
{
	int64_t result = 0;
	taddr_t pc = 0;
	int rc = read_stop(c, &pc, &result);

	if (rc)
		return rc;
	if (pc == c->run.code.at)
		return 0; /* that of a call which it stood in (execve) */
	c->stops++;
	c->blocked |= c->stops == 2;
	if (c->stops % 2) /* an entry, whose result may be an argument still */
		return 0;
	if (pc == c->run.code.behind_clone && result < 0)
		c->why = (int)result;
	return pc == c->run.code.behind;
}

/* One that is none of ours. */
static int foreign_stop(struct copying *c, int status)
{
	if (!c->blocked)
		return remote_give_up(&c->run, status);
	c->run.thread->state = THREAD_RUNNING;
	c->run.thread->regs_read = false;
	return -ETIMEDOUT;
}

static int run(struct copying *c)
{
	int status, rc = 0;

	c->why = -EAGAIN;
	remote_regs_set(&c->run, &c->run.code.begin);
	while (!rc) {
		rc = remote_run_to(&c->run, PTRACE_SYSCALL, &status);
		if (rc)
			return rc;
		if (is_event(status, PTRACE_EVENT_CLONE)) {
			pid_t helper;

			remote_take(c->run.thread->tid);
			helper = born(c->run.thread->tid);
			if (helper)
				help(c, helper);
		} else if (remote_is_call_stop(status)) {
			remote_take(c->run.thread->tid);
			rc = call_stop(c);
		} else {
			return foreign_stop(c, status);
		}
	}
	return rc < 0 ? rc : remote_come_home(&c->run);
}

/* ---- all --------------------------------------------------------------- */

static int build(const struct tracee *tracee, const struct thread *thread, const void *arg,
		 taddr_t at, const struct regs *regs, const int64_t *own,
		 struct remote_code *ret)
{
	static const int64_t again = -512; /* ERESTARTSYS: how long its code is to be told */
	const struct arch *arch = tracee->arch;
	_Alignas(8) uint8_t mask[ARCH_SIGNAL_SET] = {0};

	(void)arg;
	if (ptrace((int)GET_SIGMASK, thread->tid, (long)arch->signal_set_len, mask) < 0)
		return -errno;
	if (!own && arch->trap->remote_at && !thread->in_exec_stop &&
	    remote_whereabouts(tracee, thread, regs) == REMOTE_AT_CALL)
		own = &again;
	return arch->trap->copy_build(at, mask, regs, own, ret);
}

/* Before Linux 5.1 PTRACE_GETSIGMASK tells the mask that ppoll() and its like have set for
 * their duration, where that which is to be again should be (kernel/ptrace.c). */
static bool tells_mask(void)
{
	return kernel_is_since(5, 1);
}

static int tell(int why, struct err *err)
{
	if (why == -EAGAIN)
		return err_set(err, -EUSERS,
			       "its user or its control group may have no more processes "
			       "(RLIMIT_NPROC, pids.max)");
	if (why == -ENOMEM)
		return err_set(err, why, "the system does not lend it that much memory (%s)",
			       "vm.overcommit_memory");
	return err_sys(err, why, "the process can't be copied");
}

/* ---- whose child it would be ------------------------------------------- */

/* A word that is nobody's: the lowest of the first thread's stack, where its sp is far above. */
static taddr_t dead_word(struct tracee *tracee, const struct maps *maps)
{
	enum { FAR = 512 };
	struct thread *leader = tracee_find(tracee, tracee->pid);
	struct regs *regs = leader && leader->state == THREAD_STOPPED
				    ? thread_regs(tracee, leader)
				    : NULL;
	taddr_t sp = regs ? regs_read(tracee->arch, regs, tracee->arch->reg_sp) : 0;

	for (size_t i = 0; sp && i < maps->list.len; i++) {
		const struct mapping *mapping = &maps->list.at[i];

		if (!strcmp(mapping->path, "[stack]") &&
		    !(sp >= mapping->begin && sp < mapping->begin + FAR))
			return mapping->begin;
	}
	return 0;
}

int copy_is_reaper(struct tracee *tracee, struct undo *undo, const struct undo_place *place,
		   const struct maps *maps, bool *ret, struct err *err)
{
	enum { GET_CHILD_SUBREAPER = 37 }; /* prctl(2), Linux 3.4 */
	taddr_t at = dead_word(tracee, maps);
	const struct remote_call call = {SYS_prctl, {GET_CHILD_SUBREAPER, at}};
	const uint64_t mark = UINT64_MAX;
	uint64_t old;
	int32_t answer = 0;
	int64_t result = -EAGAIN;
	int rc;

	if (!at || target_read(&tracee->target, at, &old, sizeof(old)))
		return err_set(err, -ENOTSUP, "whether it adopts orphans can't be asked");
	rc = undo_area(undo, &tracee->target, at, &old, &mark, sizeof(mark), at, "", 0);
	if (!rc)
		rc = remote_call(tracee, undo, place, &call, &result, err);
	if (!rc && !result)
		rc = target_read(&tracee->target, at, &answer, sizeof(answer));
	undo_take_back(undo, &tracee->target, at);
	if (rc || result)
		return rc ? rc : err_sys(err, (int)result, "whether it adopts orphans");
	*ret = answer != 0;
	return 0;
}

int copy_make(struct tracee *tracee, struct undo *undo, const struct undo_place *place,
	      pid_t *ret, struct err *err)
{
	const struct remote_call by_waitid = {SYS_waitid, {P_PID_, 1, 0, __WCLONE | WEXITED}};
	const struct remote_call by_wait4 = {SYS_wait4, {1, 0, __WCLONE, 0}};
	const struct arch_trap *trap = tracee->arch->trap;
	const struct remote_call calls[] = {
		{SYS_rt_sigprocmask, {SIG_SETMASK, place->base, 0, tracee->arch->signal_set_len}},
		{SYS_clone, {VM | FILES}},
		{SYS_clone, {FILES}},
		trap->copy_waits_by_wait4 ? by_wait4 : by_waitid,
		{SYS_close_range, {0, UINT32_MAX, 2}},
		{SYS_exit_group, {0}},
	};
	const struct remote_program program = {build, NULL, calls, ARRAY_SIZE(calls)};
	struct copying copying = {.copy = 0};
	int rc;

	if (!trap->copy_build)
		return err_set(err, -ENOTSUP, "copying a process is not built for %s",
			       tracee->arch->name);
	if (!tells_mask())
		return err_set(err, -ENOTSUP, "copying a process needs Linux 5.1");
	rc = remote_begin(tracee, undo, place, &program, &copying.run, err);
	if (rc)
		return rc;
	rc = remote_end(&copying.run, undo, place, run(&copying), err);
	if (copying.copy && !children_note_copy(tracee, copying.copy)) {
		copy_end(copying.copy);
		return err_set(err, -EUSERS, "there are %d copies of it already", COPIES_MOST);
	}
	if (copying.copy) {
		*ret = copying.copy;
		return 0;
	}
	return rc ? rc : tell(copying.why, err);
}

/* Its number may be another's by now, as it is the first that the OOM killer takes: whom no thread
 * of ours traces. */
static bool is_others(pid_t pid)
{
	struct status status;
	char path[64];

	if (status_read(pid, 0, &status))
		return false; /* not to be told */
	snprintf(path, sizeof(path), "/proc/self/task/%d", status.tracer);
	return !status.tracer || access(path, F_OK) != 0;
}

void copy_end(pid_t copy)
{
	if (copy > 0 && !is_others(copy))
		kill(copy, SIGKILL);
}
