/*
 * New tasks: a parent's event says what a task is, its own first stop that it is there;
 * either comes first.  And: does a new process share our target's memory?
 *
 * A parent that is killed before its event is taken, by the exec or the exit of another
 * thread, says nothing any more: the child that waits for that is never announced.  That is
 * sure when the old program is no more; else after a while, as the event comes some
 * microseconds behind.
 */
#include "tracer/children.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tracer/sharer_calls.h"
#include "tracer/threads.h"

enum { REST_NS = 50000, UNANNOUNCED_RESTS = 2000 };

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

/* other: a thread of the process that has not ended.  -errno: the kernel does not say. */
static long memory_differs(pid_t other, pid_t child)
{
	long rc = syscall(SYS_kcmp, other, child, KCMP_VM, 0, 0);

	return rc < 0 ? -errno : rc;
}

/* A vfork child does unless it is known not to. */
static bool shares_memory(struct tracee *tracee, struct thread *child, const struct birth *birth)
{
	long differs = birth->compared ? birth->differs
				       : memory_differs(tracee_alive(tracee), child->tid);

	if (differs >= 0)
		return !differs;
	return birth->vfork || shares_word(tracee, child);
}

static struct birth *expected_find(struct tracee *tracee, pid_t pid)
{
	for (size_t i = 0; i < tracee->expected.len; i++)
		if (tracee->expected.at[i].pid == pid)
			return &tracee->expected.at[i];
	return NULL;
}

bool children_expected(struct tracee *tracee, pid_t pid, struct birth *ret)
{
	struct birth *found = expected_find(tracee, pid);

	if (!found)
		return false;
	*ret = *found;
	*found = tracee->expected.at[--tracee->expected.len];
	return true;
}

void children_stop(struct tracee *tracee, struct thread *child, const struct birth *birth,
		   struct stop *ret)
{
	tracee->unannounced -= child->unannounced;
	tracee->unannounced_rests = 0;
	child->unannounced = false;
	child->attached = true;
	ret->kind = STOP_CHILD;
	ret->thread = child;
	ret->shares_memory = shares_memory(tracee, child, birth);
	child->sharer = ret->shares_memory;
	if (child->sharer)
		sharer_calls_begin(tracee, child, birth->sp);
}

/* It is ours from birth until it is let go, or has ended. */
static bool is_still_ours(pid_t pid)
{
	struct status status;

	return pid && status_read(pid, 0, &status) == 0 && status.tracer == gettid();
}

void children_expect(struct tracee *tracee, const struct birth *birth)
{
	if (vec_reserve(&tracee->expected, tracee->expected.len + 1))
		tracee->expected.at[tracee->expected.len++] = *birth;
}

bool children_announced(struct tracee *tracee, struct thread *parent, struct birth *birth,
			struct stop *ret)
{
	struct thread *child = threads_find(tracee, birth->pid);

	birth->compared = true; /* by who stands, and was there before it ran anything */
	birth->differs = memory_differs(parent->tid, birth->pid);
	if (child && child->unannounced) {
		children_stop(tracee, child, birth, ret);
		return true;
	}
	if (!child && is_still_ours(birth->pid))
		children_expect(tracee, birth);
	return false;
}

struct thread *children_adopt(struct tracee *tracee, pid_t tid)
{
	struct thread *thread = threads_add(tracee, tid);
	struct status status;

	if (!thread)
		return NULL;
	if (expected_find(tracee, tid)) {
		thread->unannounced = thread->seen_traced = true;
	} else if (status_read(tid, 0, &status) == 0) {
		thread->unannounced = status.tgid != tracee->pid;
		thread->seen_traced = status.tracer == gettid();
	}
	tracee->unannounced += thread->unannounced;
	return thread;
}

static void find_unclaimed(void *arg, struct thread *thread)
{
	struct thread **found = arg;

	if (thread->unannounced && thread->state == THREAD_STOPPED)
		*found = thread;
}

bool children_unannounced(struct tracee *tracee, struct stop *ret)
{
	const struct birth unknown = {.pid = 0};
	struct thread *child = NULL;

	if (tracee->unannounced)
		tracee_for_each(tracee, find_unclaimed, &child);
	if (!child)
		return false;
	*ret = (struct stop){.thread = child};
	children_stop(tracee, child, &unknown, ret);
	return true;
}

int children_wait(struct tracee *tracee, struct stop *ret)
{
	struct timespec pause = {0, REST_NS};

	if (++tracee->unannounced_rests > UNANNOUNCED_RESTS &&
	    children_unannounced(tracee, ret))
		return 1;
	return nanosleep(&pause, NULL) ? 0 : -EAGAIN;
}

/* ---- copies ---------------------------------------------------------------------- */

static bool copy_put(struct tracee *tracee, pid_t old, pid_t new)
{
	for (size_t i = 0; i < ARRAY_SIZE(tracee->copies); i++)
		if (tracee->copies[i] == old) {
			tracee->copies[i] = new;
			return true;
		}
	return false;
}

bool children_note_copy(struct tracee *tracee, pid_t copy)
{
	return copy_put(tracee, 0, copy);
}

void children_forget_copy(struct tracee *tracee, pid_t pid)
{
	copy_put(tracee, pid, 0);
}

bool children_is_copy(const struct tracee *tracee, pid_t pid)
{
	for (size_t i = 0; i < ARRAY_SIZE(tracee->copies); i++)
		if (tracee->copies[i] == pid)
			return true;
	return false;
}
