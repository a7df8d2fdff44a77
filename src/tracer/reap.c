/*
 * Reaping: statuses in batches, the program's own signals first, and nobody starved.
 */
#include "tracer/reap.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "tracer/threads.h"

enum { LOOK_MOST = 8 };

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
	if (is_programs_signal(tracee, status)) { /* the others stay in order */
		size_t first = tracee->queue_urgent++;

		memmove(&tracee->queue.at[first + 1], &tracee->queue.at[first],
			(at - first) * sizeof(*tracee->queue.at));
		at = first;
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

int reap(struct tracee *tracee, bool wait)
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

void reap_more(struct tracee *tracee)
{
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL | __WNOTHREAD | WNOHANG)) > 0)
		queue_push(tracee, tid, status);
}
