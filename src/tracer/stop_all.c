/*
 * Stopping every thread, and letting them run again.
 *
 * A thread is asked with PTRACE_INTERRUPT and counts as stopped when any stop of
 * it was reaped: every ptrace-stop clears the pending interrupt (ptrace_stop() in
 * kernel/signal.c), so no second stop follows.  These need no stop:
 *
 *   GONE        dying, or a leader that exited before its threads
 *   in_vfork    waits in the kernel for its vfork child and can't return before
 *               the child, which does stop, has gone on
 *   asleep      in uninterruptible sleep (a disk, a dead NFS server): it stops before it
 *               can run user code again, and that may take long
 *   unannounced a new process that waits, stopped, for its parent's event
 *
 * It is over when all known threads are stopped, /proc/PID/task lists no other, and no
 * announced child is still to come.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <time.h>

#include "base/clock.h"
#include "tracer/threads.h"

/* STANDING_LIMIT_MS: since there were fewer to wait for than ever before, as thousands of threads
 * may take longer on a slow machine.  So they are counted each PORTION_MS. */
enum { ASLEEP_AFTER_MS = 100, STANDING_LIMIT_MS = 10000, PORTION_MS = 500 };

static bool thread_is_moving(const struct thread *thread)
{
	if (thread->in_vfork || thread->unannounced)
		return false;
	return thread->state == THREAD_RUNNING ||
	       (thread->state == THREAD_LISTENING && thread->interrupted);
}

static void thread_interrupt(void *arg, struct thread *thread)
{
	size_t *moving = arg;
	bool asks = thread->state == THREAD_RUNNING || thread->state == THREAD_LISTENING;

	if (asks && !thread->interrupted && !thread->in_vfork) {
		thread->interrupted = true;
		if (ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0) < 0)
			thread->state = THREAD_GONE;
	}
	*moving += thread_is_moving(thread);
}

struct asleep {
	bool all;
	uint64_t switches; /* of all of them */
};

static void thread_asleep(void *arg, struct thread *thread)
{
	struct asleep *asleep = arg;
	struct status status;

	if (!asleep->all || !thread_is_moving(thread))
		return;
	asleep->all = thread->interrupted && status_read(thread->tid, 0, &status) == 0 &&
		      status.state == 'D';
	asleep->switches += asleep->all ? status.switches : 0;
}

/*
 * Are all that still have to stop in uninterruptible sleep?  At one moment: they are looked at one
 * after the other, so twice, and who was asleep both times, and was not put off a core in between,
 * has not woken up.  *before: what the last look saw.
 */
static bool rest_is_asleep(struct tracee *tracee, struct asleep *before)
{
	struct asleep now = {.all = true};
	bool same;

	tracee_for_each(tracee, thread_asleep, &now);
	same = now.all && before->all && now.switches == before->switches;
	*before = now;
	return same;
}

/* Threads that /proc knows and we do not: born by a clone whose event we have not
 * seen.  They are traced from birth; their first stop is on its way. */
static bool unknown_threads_add(struct tracee *tracee, struct tid_list *tids)
{
	bool found = false;

	if (status_threads(tracee->pid, tids))
		return false;
	for (size_t i = 0; i < tids->len; i++) {
		struct status status;

		if (threads_find(tracee, tids->at[i]))
			continue;
		if (status_read(tracee->pid, tids->at[i], &status) || status.state == 'Z' ||
		    status.state == 'X' || status.tracer == 0)
			continue;
		found |= threads_add(tracee, tids->at[i]) != NULL;
	}
	return found;
}

/* A short rest: the stops we wait for take some tens of microseconds. */
static void rest(void)
{
	struct timespec pause = {0, 20000};
	nanosleep(&pause, NULL);
}

/* A leader that has exited before its threads is a zombie, which never stops, though
 * the kernel lets it be interrupted. */
static void leader_check(struct tracee *tracee)
{
	struct thread *leader = threads_find(tracee, tracee->pid);
	struct status status;

	if (leader && leader->state == THREAD_RUNNING &&
	    status_read(tracee->pid, tracee->pid, &status) == 0 && status.state == 'Z')
		leader->state = THREAD_GONE;
}

/* Hands out all stops that are there, for a time: whoever gets signals without end may have
 * another one each time.  1: some; 0: none; < 0: the process is gone. */
static int stops_take(struct tracee *tracee)
{
	int64_t end = clock_ms() + PORTION_MS;
	int rc = tracee_take(tracee, false);

	if (rc == 1)
		while (clock_ms() < end && tracee_take(tracee, false) == 1)
			;
	return rc;
}

static int64_t end_of_wait(const struct tracee *tracee, int64_t start)
{
	int64_t end = clock_ms() + STANDING_LIMIT_MS, most = start + tracee->stop_most_ms;

	return tracee->stop_most_ms && most < end ? most : end;
}

static int stop_all(struct tracee *tracee, struct tid_list *tids, struct err *err)
{
	int64_t start = clock_ms(), end = start;
	struct asleep asleep = {.all = false};
	size_t fewest = SIZE_MAX;

	/* What was reaped is of those, too, for whom nobody has to wait: the end of a vfork(). */
	while (tracee->queue_head < tracee->queue.len && tracee_take(tracee, false) == 1)
		;
	for (;;) {
		size_t moving = 0;
		int rc;

		leader_check(tracee);
		tracee_for_each(tracee, thread_interrupt, &moving);
		if (!moving && !tracee->expected.len && !unknown_threads_add(tracee, tids))
			return tracee->exited ? -ECHILD : 0;
		if (moving < fewest) {
			fewest = moving;
			end = end_of_wait(tracee, start);
		}
		rc = stops_take(tracee);
		if (rc < 0)
			return err_sys(err, rc, "pid %d is gone", tracee->pid);
		if (clock_ms() - start > SCHED_FIFO_LIMIT_MS)
			sched_fifo_end(&tracee->sched_fifo);
		if (rc && clock_ms() < end)
			continue;
		if (clock_ms() - start > ASLEEP_AFTER_MS && !tracee->expected.len &&
		    rest_is_asleep(tracee, &asleep))
			return 0;
		if (clock_ms() >= end)
			return err_set(err, -ETIMEDOUT, "a thread of pid %d does not stop",
				       tracee->pid);
		rest();
	}
}

int tracee_stop(struct tracee *tracee, struct err *err)
{
	struct tid_list tids = {0};
	int rc;

	tracee->all_stopped = true;
	sched_fifo_begin(&tracee->sched_fifo);
	rc = stop_all(tracee, &tids, err);
	vec_deinit(&tids);
	if (rc)
		tracee_resume(tracee);
	return rc;
}

static void thread_resume(void *arg, struct thread *thread)
{
	if (thread->state == THREAD_STOPPED && !thread->unannounced && !thread->stands)
		tracee_continue(arg, thread);
}

void tracee_resume(struct tracee *tracee)
{
	tracee->all_stopped = false;
	tracee_for_each(tracee, thread_resume, tracee);
	sched_fifo_end(&tracee->sched_fifo);
}

void tracee_run_one(struct tracee *tracee, struct thread *thread)
{
	tracee->all_stopped = false;
	tracee_continue(tracee, thread);
	tracee->all_stopped = true;
}

void tracee_resume_one(struct tracee *tracee, struct thread *thread)
{
	tracee->all_stopped = false;
	tracee_continue(tracee, thread);
	sched_fifo_end(&tracee->sched_fifo);
}
