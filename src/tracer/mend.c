/*
 * Putting back what a memtrace that was killed has left.
 *
 * From its death until the threads are seized again the target runs untraced, and may fork: the
 * child has a copy of what is patched, and so have its children, whoever their parent is by
 * now. What is forked behind that is told of by the kernel.  So:
 *
 *    the target: SEIZE --> stop --> undo the log --> detach
 *    each process that is younger than the log, and has one of its patches where the log has
 * it: the same, until a look at all of them finds none
 *
 * Whoever is put back has children that need nothing; so this ends.  A child that the target
 * traces (it is a debugger) can't be seized: its memory alone is written, as a patch is one
 * write and may be put back while it runs (of five bytes: a thread that runs through them in that
 * moment may see a part).  So not while a tracer is only about to end, as the memtrace that was
 * killed: that lets go soon.  And not that of others who are traced: they may be
 * somebody else's, a twin with the same patches, say, that another memtrace follows.
 */
#include "tracer/mend.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tracer/between.h"
#include "tracer/handover.h"
#include "tracer/hide.h"
#include "tracer/inject.h"
#include "tracer/pages.h"
#include "tracer/put_back.h"
#include "tracer/retry.h"

enum { RETRIES = 2000, RETRIES_SOME = 3, RETRY_NS = 1000000, PASSES = 1000, BETWEEN_TRIES = 8,
       WIPE_TRIES = 16, ASLEEP_TRIES = 8, WIPE_MS = 16 /* some 190 in all */,
       STOP_MOST_MS = 10000 };

struct mending {
	struct undo *undo;
	pid_t target;
	pid_t now; /* which is mended */
	uint64_t since;
	struct tid_list done;
	struct tracee tracee;
};

void mend_child(struct tracee *tracee, struct thread *child, const struct undo *undo)
{
	struct tracee copy = {.pid = child->tid, .arch = tracee->arch};
	struct err err;

	if (child->seen_traced ? target_open(&copy.target, child->tid, &err)
			       : target_open_traced(&copy.target, child->tid, &err))
		return;
	copy.target.far = tracee->target.far;
	copy.target.apart.hurry = tracee->target.apart.hurry;
	put_back_all(&copy, child, undo);
	target_close(&copy.target);
}

static void absorb(void *arg, struct stop *stop)
{
	struct mending *m = arg;
	struct tracee *tracee = &m->tracee;

	hide_stop(tracee, stop);
	if (stop->kind == STOP_CHILD && !stop->shares_memory) {
		mend_child(tracee, stop->thread, m->undo);
		tracee_let_go(tracee, stop->thread);
	} else if (stop->thread) {
		tracee_continue(tracee, stop->thread);
	}
}

static void rest(void)
{
	struct timespec pause = {0, RETRY_NS};

	nanosleep(&pause, NULL);
}

static bool was_mended(const struct mending *m, pid_t pid)
{
	for (size_t i = 0; i < m->done.len; i++)
		if (m->done.at[i] == pid)
			return true;
	return false;
}

/* Traced by one of those that had the patches themselves? */
static bool is_theirs(const struct mending *m, pid_t pid)
{
	struct status status, tracer;

	return status_read(pid, 0, &status) == 0 && status.tracer &&
	       status_read(status.tracer, 0, &tracer) == 0 && was_mended(m, tracer.tgid);
}

/* Traced by somebody who ends, and then traces nobody? */
static bool is_freed_soon(pid_t pid)
{
	struct status status;

	return status_read(pid, 0, &status) == 0 && status.tracer &&
	       status_is_ending(status.tracer);
}

static void mend_running(const struct mending *m, pid_t pid)
{
	struct target target;
	struct err err;

	if (target_open(&target, pid, &err))
		return;
	undo_run(m->undo, &target);
	target_close(&target);
}

static int unmap(struct mending *m)
{
	int agent = inject_remove(&m->tracee, m->undo);
	int pages = agent == -EAGAIN ? agent : pages_unmap(&m->tracee, m->undo);

	return pages ? pages : agent;
}

/* Those that are inside come out when they are let run a moment; so does one of them get where
 * it can unmap what is to be unmapped. */
static int wipe(void *arg)
{
	struct mending *m = arg;

	if (m->tracee.exited)
		return -ECHILD;
	if (!put_back_stubs(&m->tracee, NULL, m->undo))
		return -EAGAIN;
	/* (the log is the target's; a copy's page stays, empty, and its agent, off) */
	return m->now == m->target ? unmap(m) : 0;
}

/* (The kernel lets the tracees of the dead go a moment after the guardian hears of it.) */
static void mend(struct mending *m, pid_t pid)
{
	const struct retry often = {.tries = BETWEEN_TRIES, .first_ms = 1, .last_ms = 1};
	const struct retry longer = {.tries = WIPE_TRIES,
				     .asleep_tries = ASLEEP_TRIES,
				     .first_ms = 1,
				     .last_ms = WIPE_MS};
	struct tracee *tracee = &m->tracee;
	struct between between = {tracee, m->undo};
	struct err err;
	int tries = 0, refused = 0, failed;

	if (!vec_push(&m->done, pid))
		return;
	m->now = pid;
	while (tracee_attach(tracee, pid, &err)) {
		/* (a child that shares its memory and is traced already keeps us out, too) */
		bool theirs = is_theirs(m, pid), soon = is_freed_soon(pid);

		refused += !soon;
		if (theirs || (!soon && refused == RETRIES_SOME) || tries == RETRIES)
			mend_running(m, pid);
		if (err.code == -ESRCH || theirs || ++tries > RETRIES)
			return;
		rest();
	}
	tracee->handle = absorb;
	tracee->handle_arg = m;
	tracee->stop_most_ms = STOP_MOST_MS; /* the guardian has not much longer for all */
	failed = tracee_stop(tracee, &err);
	if (!failed && tracee->arch->trap->far_patch_len)
		err_ignore(retry_stopped(tracee, &often, between_left, &between, &err));
	undo_run(m->undo, &tracee->target); /* a patch is one write: also while it runs */
	if (!failed)
		err_ignore(retry_stopped(tracee, &longer, wipe, m, &err)); /* stubs may stay */
	if (tracee->exited)
		tracee_hand_out_children(tracee);
	tracee_release(tracee);
}

static bool has_patch(const struct mending *m, pid_t pid)
{
	struct target target;
	struct err err;
	bool has;

	if (status_start(pid) < m->since || target_open(&target, pid, &err))
		return false;
	has = undo_is_in(m->undo, &target);
	target_close(&target);
	return has;
}

/* One look at all processes.  Was there one to be mended? */
static bool mend_copies(struct mending *m)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	while (dir && (entry = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;

		if (pid <= 0 || was_mended(m, pid) || !has_patch(m, pid))
			continue;
		found = true;
		mend(m, pid);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Twice without a find: numbers of processes begin anew, and a child may be where a look has
 * passed when its parent, which had not been looked at, ends. */
void mend_all(pid_t target, struct undo *undo, uint64_t since)
{
	struct mending m = {.undo = undo, .target = target, .since = since};

	mend(&m, target);
	handover_mend(undo, false);
	for (int clean = 0, pass = 0; clean < 2 && pass < PASSES; pass++)
		clean = mend_copies(&m) ? 0 : clean + 1;
	vec_deinit(&m.done);
}
