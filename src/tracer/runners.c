/*
 * Each runner by its task's id and its process'.  A task that is new may stop before its parent's
 * event says that it is there: then its process, or its parent, is one of them.
 */
#include "tracer/runners.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tracer/threads.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

enum { RUNNERS_MOST = 4096 };

static struct runner *find(const struct tracee *tracee, pid_t tid)
{
	for (size_t i = 0; i < tracee->runners.len; i++)
		if (tracee->runners.at[i].tid == tid)
			return &tracee->runners.at[i];
	return NULL;
}

static void forget(struct tracee *tracee, pid_t tid)
{
	struct runner *runner = find(tracee, tid);

	if (runner)
		*runner = tracee->runners.at[--tracee->runners.len];
}

static bool is_process(const struct tracee *tracee, pid_t pid)
{
	for (size_t i = 0; i < tracee->runners.len; i++)
		if (tracee->runners.at[i].tgid == pid)
			return true;
	return false;
}

static bool add(struct tracee *tracee, pid_t tid, pid_t tgid)
{
	const struct runner new = {tid, tgid};

	if (find(tracee, tid))
		return true;
	return tracee->runners.len < RUNNERS_MOST && vec_push(&tracee->runners, new);
}

bool runners_take(struct tracee *tracee, struct thread *thread)
{
	if (tracee->leaves_runners || !add(tracee, thread->tid, thread->tid))
		return false;
	thread_regs_flush(thread);
	threads_remove(tracee, thread);
	threads_free(tracee, thread);
	return true;
}

static void go_on(struct tracee *tracee, pid_t tid, int signal)
{
	if (tracee->leaves_runners) {
		ptrace(PTRACE_DETACH, tid, 0, (long)signal);
		forget(tracee, tid);
		return;
	}
	ptrace(PTRACE_CONT, tid, 0, (long)signal); /* (killed: its end will come) */
}

void runners_continue(struct tracee *tracee, pid_t tid)
{
	go_on(tracee, tid, 0);
}

void runners_let_go(struct tracee *tracee, pid_t tid)
{
	ptrace(PTRACE_DETACH, tid, 0, 0);
	forget(tracee, tid);
}

void runners_leave(struct tracee *tracee)
{
	tracee->leaves_runners = true;
}

bool runners_know(struct tracee *tracee, pid_t tid)
{
	struct status status;

	if (!tracee->runners.len)
		return false;
	if (find(tracee, tid))
		return true;
	/* (the process itself may be the child of one) */
	if (status_read(tid, 0, &status) || status.tgid == tracee->pid ||
	    (!is_process(tracee, status.tgid) && !is_process(tracee, status.parent)))
		return false;
	add(tracee, tid, status.tgid);
	return true;
}

/* What it has made: known before it stops, mostly; or its parent had no core meanwhile, and it has begun a
 * program and is another tracer's by now. */
static void born(struct tracee *tracee, pid_t parent)
{
	unsigned long tid = 0;
	struct status status;

	if (!ptrace(PTRACE_GETEVENTMSG, parent, 0, &tid) && tid &&
	    !status_read((pid_t)tid, 0, &status) && status.tracer == gettid())
		add(tracee, (pid_t)tid, status.tgid);
}

/* The thread that has made the exec has the leader's id now, and no end is told of its own. */
static void forget_former(struct tracee *tracee, pid_t tid)
{
	unsigned long former = 0;

	if (!ptrace(PTRACE_GETEVENTMSG, tid, 0, &former) && former && (pid_t)former != tid)
		forget(tracee, (pid_t)former);
}

bool runners_stop(struct tracee *tracee, pid_t tid, int status, struct stop *ret)
{
	int event = status >> 16, signal = WSTOPSIG(status);

	if (!WIFSTOPPED(status)) {
		forget(tracee, tid);
		return false;
	}
	switch (event) {
	case 0:
		go_on(tracee, tid, signal);
		return false;
	case PTRACE_EVENT_STOP:
		if (signal == SIGTRAP || tracee->leaves_runners)
			go_on(tracee, tid, 0);
		else
			ptrace(PTRACE_LISTEN, tid, 0, 0);
		return false;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		born(tracee, tid);
		break;
	case PTRACE_EVENT_EXEC:
		forget_former(tracee, tid);
		if (tracee->leaves_runners)
			break;
		ret->kind = STOP_RUNNER_EXEC;
		ret->runner = tid;
		return true;
	default:
		break;
	}
	go_on(tracee, tid, 0);
	return false;
}
