/* Leaving a capture behind that goes on; see leave.h. */
#include "capture/leave.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/describe.h"
#include "capture/estate.h"
#include "capture/kept.h"
#include "capture/share.h"
#include "capture/parts.h"
#include "capture/share_parts.h"
#include "capture/thread_data.h"
#include "capture/trap_empty.h"
#include "capture/traceme.h"
#include "region/atom.h"
#include "tracer/retry.h"

static const struct retry a_moment = {
	.tries = 24, .first_ms = 1, .last_ms = 16, .unread = RETRY_UNREAD};

/* ---- a good moment ------------------------------------------------------------ */

static void thread_is_within(void *arg, struct thread *thread)
{
	bool *within = arg;

	if (thread->sharer || (thread->owner && thread_data(thread)->book.depth))
		*within = true;
}

struct leaving {
	struct engine *engine;
	struct err *err;
};

/* Nobody is in a trap, or in a realloc whose block we have, or shares the memory. */
static int nobody_is_within(void *arg)
{
	struct leaving *l = arg;
	bool within = traceme_is_shared(l->engine);
	int rc = l->engine->ending.ended ? -ECHILD : trap_empty(&l->engine->traps, true, l->err);

	if (rc)
		return rc;
	tracee_for_each(&l->engine->tracee, thread_is_within, &within);
	return l->engine->ending.ended ? -ECHILD : within ? -EAGAIN : 0;
}

/* ---- handing over --------------------------------------------------------------- */

/* (What comes over is counted anew, now: its contexts keep their times.) */
static bool blocks_over(struct ledger *ledger, struct err *err)
{
	struct region *region = ledger->region;
	uint32_t count = region_context_count(region);
	struct region_context *before = calloc(count, sizeof(*before));
	bool all;

	if (!before) {
		err_set(err, -ENOMEM, "memory is short");
		return false;
	}
	for (uint32_t id = 0; id < count; id++)
		before[id] = *region_context_at(region, id);
	all = tally_yield_all(&ledger->tally, ledger_now(ledger));
	for (uint32_t id = 0; id < count; id++)
		region_keep_times(region, id, &before[id]);
	free(before);
	if (!all)
		err_set(err, -ENOSPC, "the agent's tables have no room for all blocks");
	return all;
}

static size_t hand_over(struct engine *engine, struct err *err)
{
	struct ledger *ledger = &engine->ledger;
	size_t len;

	share_threads_stay(engine);
	if (!blocks_over(ledger, err))
		return 0;
	len = estate_write(engine, shared_at(ledger->tally.shared, SHARED_ESTATE_AT),
			   SHARED_ESTATE_BYTES);
	if (!len)
		err_set(err, -ENOSPC, "the agent's memory has no room for all that is known");
	return len;
}

static void sign(struct engine *engine, size_t len)
{
	const struct shared *shared = engine->ledger.tally.shared;
	struct shared_left *left = shared_at(shared, SHARED_LEFT_AT);

	left->place[0].bytes = len;
	left->place[0].hash = estate_hash(shared_at(shared, SHARED_ESTATE_AT), len);
	estate_sign(engine, left);
	left->current = 1;
	atom_store64(&left->magic, SHARED_LEFT_MAGIC);
}

/* All stand, and it is a good moment. */
static int bequeath(struct engine *engine, struct err *err)
{
	struct shared_told *told = shared_told(engine->ledger.tally.shared);
	struct undo_payloads payloads;
	size_t len;
	int rc;

	kept_end(engine); /* (both of its places are used for one) */
	len = hand_over(engine, err);
	if (!len)
		return err->code;
	told->loader_state = engine->hooks.loader_state;
	atom_store32(&told->alone, 1);
	rc = undo_disarm(engine->undoing.undo, &engine->tracee.target, &payloads);
	if (rc) {
		atom_store32(&told->alone, 0);
		return err_sys(err, rc, "its traps can't be changed");
	}
	sign(engine, len);
	guardian_watch(&engine->undoing.guardian, 0);
	return 0;
}

/* ---- going ---------------------------------------------------------------------- */

static void let_go(struct engine *engine)
{
	describe_keep_threads(engine);
	engine->ending.ended = engine->ending.left = true;
	engine->ending.end = CAPTURE_DETACHED;
	engine->resident.stays = true;
	engine->ledger.walker.shared = NULL;
	undo_clear(engine->undoing.undo);
	tracee_release(&engine->tracee);
	engine->traced = false;
}

int leave(struct engine *engine, struct err *err)
{
	const char *why = kept_objection(engine);
	struct leaving leaving = {engine, err};
	int rc;

	err->code = 0;
	if (why)
		return err_set(err, -ENOTSUP, "the capture of pid %d can't go on without memtrace: %s",
			       engine->tracee.pid, why);
	rc = retry_stopped(&engine->tracee, &a_moment, nobody_is_within, &leaving, err);
	if (rc == -EAGAIN)
		err_set(err, rc, "a thread of pid %d is always within a call: try again",
			engine->tracee.pid);
	if (!rc)
		rc = bequeath(engine, err);
	if (!rc)
		let_go(engine);
	else if (!engine->ending.ended && share_memory(engine))
		kept_begin(engine);
	if (rc && !engine->ending.ended)
		tracee_resume(&engine->tracee);
	return rc && !err->code ? err_set(err, rc, "pid %d has ended", engine->tracee.pid) : rc;
}
