/*
 * Looks; see look.h.
 *
 * The region has one writer, this thread, so its blocks are copied when the threads run again,
 * before any other stop is handled: they are of the same moment as the picture.  (Where an agent
 * counts, too, they are copied while the threads are stopped.)
 */
#include "capture/look.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "capture/describe.h"
#include "capture/share.h"

enum { TRIES = 20, PAUSE_NS = 1000000 };

struct copying {
	struct look *look;
	bool failed;
};

static void copy_block(void *arg, const struct region_block *block)
{
	struct copying *c = arg;

	c->failed |= !vec_push(&c->look->live, *block);
}

static int copy_blocks(struct engine *engine, struct look *look, struct err *err)
{
	struct copying copying = {look, false};
	int rc = describe_snapshot(engine, &look->snapshot, err);

	if (rc)
		return rc;
	if (!vec_reserve(&look->live, describe_blocks(engine) + 1))
		return err_set(err, -ENOMEM, "memory is short");
	region_for_each_block(engine->ledger.region, copy_block, &copying);
	tally_for_each_block(&engine->ledger.tally, copy_block, &copying);
	return copying.failed ? err_set(err, -ENOMEM, "memory is short") : 0;
}

/* All threads are stopped.  -EAGAIN: not where they are. */
static int take(struct engine *engine, const struct look_options *options, const char *no_copy,
		struct look *look, struct err *err)
{
	const char *why = engine->looks.exiting ? "it is about to end" : no_copy;
	uint64_t expected = picture_expected_ns(options->mappings, engine->tracee.count, false);
	int rc = picture_take(&engine->tracee, engine->undoing.undo, options->mappings, why,
			      &look->picture, err);

	if (rc)
		return rc;
	look->stopped = !look->picture->copy;
	if (!look->stopped || engine->looks.exiting || expected <= options->max_pause_ns)
		return 0;
	return err_set(err, -EBUSY,
		       "the process can't be copied (%.200s), and would stand for about %" PRIu64
		       " ms while it is looked at: --max-pause=%" PRIu64 "ms allows that",
		       look->picture->why, expected / 1000000, expected / 1000000 + 1);
}

/* All threads, but not for longer than they may stand: then they run. */
static int stop(struct engine *engine, const struct look_options *options, struct look *look,
		struct err *err)
{
	int64_t most_ns = (int64_t)options->stop_most_ms * 1000000;
	int rc;

	look->since = clock_ns();
	engine->tracee.stop_most_ms = (int64_t)options->stop_most_ms;
	rc = tracee_stop(&engine->tracee, err);
	engine->tracee.stop_most_ms = 0;
	if (!rc && engine->ending.ended)
		return err_set(err, -ESRCH, "the process has ended");
	if (!rc && most_ns && clock_ns() - look->since > most_ns) {
		tracee_resume(&engine->tracee);
		rc = -ETIMEDOUT;
	}
	if (rc != -ETIMEDOUT || !most_ns)
		return rc;
	return err_set(err, -EBUSY,
		       "no look for leaks: stopping the process took longer than the %" PRIu64
		       " ms that --max-pause allows", options->stop_most_ms);
}

/* Tries again while threads are where they can't make a system call. */
static int take_with_retries(struct engine *engine, const struct look_options *options,
			     struct look *look, struct err *err)
{
	struct timespec pause = {0, PAUSE_NS};
	char why[sizeof(err->text)] = "";
	int rc = -EAGAIN;

	for (int i = 0; i <= TRIES && rc == -EAGAIN; i++) {
		rc = stop(engine, options, look, err);
		if (rc)
			return rc;
		rc = take(engine, options, i == TRIES ? why : NULL, look, err);
		if (!rc && engine->ledger.tally.shared)
			rc = copy_blocks(engine, look, err);
		if (rc || !look->stopped)
			tracee_resume(&engine->tracee);
		memcpy(why, err->text, sizeof(why));
		if (rc == -EAGAIN)
			nanosleep(&pause, NULL);
	}
	look->pause_ns = (uint64_t)(clock_ns() - look->since);
	return rc;
}

int look_take(struct engine *engine, const struct look_options *options, struct look **ret,
	      struct err *err)
{
	struct look *look = calloc(1, sizeof(*look));
	int rc;

	if (!look)
		return err_set(err, -ENOMEM, "memory is short");
	if (!engine->traced || engine->ending.ended)
		rc = err_set(err, -ESRCH, "the process has ended, or was let go");
	else
		rc = take_with_retries(engine, options, look, err);
	if (!rc && !look->snapshot)
		rc = copy_blocks(engine, look, err);
	if (rc) {
		look_end(engine, look);
		look_destroy(look);
		return rc;
	}
	*ret = look;
	return 0;
}

void look_end(struct engine *engine, struct look *look)
{
	if (look->picture)
		picture_end(look->picture);
	if (!look->stopped)
		return;
	if (engine->traced && engine->tracee.all_stopped)
		tracee_resume(&engine->tracee);
	look->pause_ns = (uint64_t)(clock_ns() - look->since);
	look->stopped = false;
	engine->looks.exiting = 0;
}

void look_let_exit(struct engine *engine)
{
	struct thread *thread =
		engine->looks.exiting ? tracee_find(&engine->tracee, engine->looks.exiting) : NULL;

	engine->looks.exiting = 0;
	if (thread && engine->traced)
		tracee_continue(&engine->tracee, thread);
}

void look_destroy(struct look *look)
{
	if (!look)
		return;
	picture_destroy(look->picture);
	snapshot_destroy(look->snapshot);
	vec_deinit(&look->live);
	free(look);
}
