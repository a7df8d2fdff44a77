/*
 * Detaching: all threads are stopped, everything is put back, and the process is let go.
 */
#include "capture/detach.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "capture/describe.h"
#include "capture/kept.h"
#include "capture/leave.h"
#include "capture/parts.h"
#include "capture/share.h"
#include "capture/thread_data.h"
#include "capture/traceme.h"
#include "capture/trap_signal.h"
#include "hook/predecessor.h"
#include "tracer/between.h"
#include "tracer/pages.h"
#include "tracer/put_back.h"
#include "tracer/retry.h"

/* They run 1, 2, ... 16 ms. */
enum { TRIES = 19, ASLEEP_TRIES = 6, LONG_TRIES = 24, LAST_MS = 16, OWED_MS = 10000, OWED_REST_NS = 50000 };

static void thread_abandon(void *arg, struct thread *thread)
{
	ledger_abandon(arg, thread);
}

struct draining {
	struct engine *engine;
	pid_t found;
};

static void thread_owes(void *arg, struct thread *thread)
{
	struct draining *d = arg;

	if (thread->state == THREAD_STOPPED && thread->owner && thread_data(thread)->counted &&
	    trap_signal_of(&d->engine->traps, thread) == SIGTRAP)
		d->found = thread->tid;
}

static bool is_running(const struct engine *engine, pid_t tid)
{
	struct thread *thread = tracee_find(&engine->tracee, tid);
	return thread && thread->state == THREAD_RUNNING && !engine->ending.ended;
}

/*
 * A thread may stand at a hard trap whose SIGTRAP is still to be reported (another stop
 * overtook it).  Let go with it, it would die: it is continued, which the signal ends
 * before it runs an instruction, and the signal is dropped.
 */
static void drain(struct engine *engine)
{
	const struct timespec rest = {0, OWED_REST_NS};
	struct draining d = {.engine = engine};
	int64_t end = clock_ms() + OWED_MS;

	for (;; d.found = 0) {
		tracee_for_each(&engine->tracee, thread_owes, &d);
		if (!d.found || engine->ending.ended || clock_ms() >= end)
			return;
		tracee_run_one(&engine->tracee, tracee_find(&engine->tracee, d.found));
		while (is_running(engine, d.found) && clock_ms() < end)
			if (tracee_take(&engine->tracee, false) != 1)
				nanosleep(&rest, NULL);
	}
}

static int stop_all(struct engine *engine, struct err *err)
{
	int rc = engine->ending.ended ? -ECHILD : tracee_stop(&engine->tracee, err);

	if (!rc && engine->traps.hard)
		drain(engine);
	return rc;
}

static const struct retry a_moment = {.tries = TRIES,
				      .asleep_tries = ASLEEP_TRIES,
				      .first_ms = 1,
				      .last_ms = LAST_MS,
				      .unread = RETRY_FETCHED};

/* (It needs a thread that can make the calls, and none inside, at once.) */
static const struct retry a_while = {
	.tries = LONG_TRIES, .first_ms = 1, .last_ms = LAST_MS, .unread = RETRY_FETCHED};

static int stubs_go(void *arg)
{
	struct engine *engine = arg;

	if (engine->traps.hard)
		drain(engine);
	if (engine->ending.ended)
		return -ECHILD;
	return put_back_stubs(&engine->tracee, NULL, engine->undoing.undo) ? 0 : -EAGAIN;
}

static int pages_go(void *arg)
{
	struct engine *engine = arg;

	if (engine->traps.hard)
		drain(engine);
	return engine->ending.ended ? -ECHILD
				    : pages_unmap(&engine->tracee, engine->undoing.undo);
}

static int agent_goes(void *arg)
{
	struct engine *engine = arg;

	if (engine->traps.hard)
		drain(engine);
	return engine->ending.ended ? -ECHILD : resident_leave(engine);
}

/*
 * Where code is put back, threads may be inside the stubs still, under load nearly always.
 * Nothing leads there any more, so most of them come out as soon as they run.  -EAGAIN: one
 * does not; else as retry_stopped().
 */
static int stubs_wipe(struct engine *engine)
{
	int rc = traceme_is_shared(engine)
			 ? -EAGAIN
			 : retry_stopped(&engine->tracee, &a_moment, stubs_go, engine, NULL);

	if (engine->undoing.left && (!rc || rc == -EAGAIN) &&
	    predecessor_wipe(&engine->hooks.process, &engine->undoing.left))
		rc = -EAGAIN;
	if (engine->undoing.undo->agent.held)
		undo_agent_hold(engine->undoing.undo, engine->undoing.left);
	return rc;
}

/* A thread must be where it can make the call. */
static void unmap(struct engine *engine)
{
	int rc = retry_stopped(&engine->tracee, &a_while, agent_goes, engine, NULL);

	if (rc && engine->tracee.all_stopped && !engine->ending.ended)
		notify_left(&engine->notifier,
			    "memtrace's agent stays in pid %d, off, until a later memtrace takes it "
			    "away: %s",
			    engine->tracee.pid, strerror(-rc));
	rc = retry_stopped(&engine->tracee, &a_moment, pages_go, engine, NULL);

	if (rc && engine->tracee.all_stopped && !engine->ending.ended)
		notify_left(&engine->notifier, "a page of memtrace's stays mapped in pid %d: %s",
			    engine->tracee.pid, strerror(-rc));
}

/* What stays does nothing any more, but is said. */
static void wipe(struct engine *engine)
{
	int rc = stubs_wipe(engine);

	if (rc == -EAGAIN)
		notify_left(
			&engine->notifier,
			"memtrace's stubs stay in pid %d, unused, until a later memtrace takes "
			"them away: a thread is in a call of an allocation function, or its "
			"stack looks so%s",
			engine->tracee.pid,
			engine->undoing.undo->agent.len ? "; so does its agent's memory, off" : "");
	else if (!rc)
		unmap(engine);
}

/* Who has hooked what we had hooked goes on by way of our stubs, which are empty now. */
static void tell_of_others(struct engine *engine)
{
	taddr_t at = 0;
	size_t count = undo_others(engine->undoing.undo, &engine->tracee.target, &at);
	const struct module *module = count ? modules_find(&engine->program.modules, at) : NULL;
	const struct hook *hook = hooks_by_patch(&engine->hooks, at);

	if (count)
		notify_left(
			&engine->notifier,
			"another tool has changed %s in %s meanwhile: its patch stays, and so "
			"do memtrace's stubs, which it may lead to and which do nothing any "
			"more",
			hook ? hook->function->name : "code",
			module ? module->id.path : "memory");
}

/* err: why it is not stopped; code 0: it is. */
static void put_back(struct engine *engine, const struct err *err)
{
	struct between between = {&engine->tracee, engine->undoing.undo};
	struct err ignored; /* (it is worse to leave a patch) */
	int rc;

	if (err->code) /* nothing is as bad as leaving it: a patch is one write */
		notify_warning(&engine->notifier,
			       "putting the code of pid %d back while it runs: %s",
			       engine->tracee.pid, err->text);
	describe_replaced(engine);
	if (!err->code && engine->tracee.arch->trap->far_patch_len)
		err_ignore(retry_stopped(&engine->tracee, &a_moment, between_left, &between, &ignored));
	kept_end(engine);
	rc = undo_run(engine->undoing.undo, &engine->tracee.target);
	if (rc && rc != -ESRCH)
		notify_left(&engine->notifier, "could not put all of the code of pid %d back: %s",
			    engine->tracee.pid, strerror(-rc));
	tracee_watch_sharers(&engine->tracee, true);
	traceme_let_go_stopped(engine);
	tell_of_others(engine);
	if (!err->code)
		wipe(engine);
}

/* Stopped, and put back, if it has not ended. */
static void restore(struct engine *engine)
{
	struct err err = {.code = 0};

	stop_all(engine, &err);
	if (!engine->ending.ended)
		put_back(engine, &err);
}

/* A child by clone(CLONE_VM) that outlives the process has its memory, and so our patches. */
static void restore_for_sharers(struct engine *engine)
{
	const struct ending ending = engine->ending;

	while (tracee_succeed(&engine->tracee)) {
		guardian_watch(&engine->undoing.guardian, engine->tracee.pid);
		engine->ending.ended = false;
		restore(engine);
		if (!engine->ending.ended)
			break;
	}
	engine->ending = ending;
}

/* The capture is to go on without us.  False: it can't, which is said. */
static bool stays(struct engine *engine)
{
	struct err err;

	if (!parts_have(PART_agent) || !engine->stays || engine->ending.ended)
		return false;
	if (!leave(engine, &err))
		return true;
	if (!engine->ending.ended)
		notify_left(&engine->notifier, "%s", err.text);
	return false;
}

void detach_process(struct engine *engine)
{
	if (!engine->traced)
		return;
	if (!engine->ending.ended)
		program_title(&engine->program, tracee_alive(&engine->tracee));
	if (stays(engine))
		return;
	restore(engine);
	share_end(engine);
	if (engine->ending.ended) {
		tracee_hand_out_children(&engine->tracee);
		restore_for_sharers(engine);
	} else {
		engine->ending.ended = true;
		engine->ending.end = CAPTURE_DETACHED;
		describe_keep_threads(engine);
	}
	tracee_for_each(&engine->tracee, thread_abandon, &engine->ledger);
	undo_clear(engine->undoing.undo);
	guardian_watch(&engine->undoing.guardian, 0);
	tracee_release(&engine->tracee);
	engine->traced = false;
}
