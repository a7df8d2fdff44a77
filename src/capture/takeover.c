/* Going on where another memtrace has left; see takeover.h. */
#include "capture/takeover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/estate.h"
#include "capture/kept.h"
#include "capture/mappings.h"
#include "capture/missing.h"
#include "capture/share.h"
#include "capture/trap_choice.h"
#include "region/atom.h"
#include "region/known.h"
#include "tracer/inject_left.h"
#include "tracer/inject_parts.h"
#include "tracer/let_out.h"
#include "tracer/retry.h"

static const struct retry a_moment = {
	.tries = 24, .first_ms = 1, .last_ms = 16, .unread = RETRY_UNREAD};

/* ---- what is there -------------------------------------------------------------- */

static void left_text(const struct shared_left *left, char *ret, size_t room)
{
	time_t when = (time_t)(left->left_ns / 1000000000);
	struct tm tm;

	*ret = 0;
	if (localtime_r(&when, &tm))
		strftime(ret, room, "%Y-%m-%d %H:%M:%S", &tm);
}

static int refuse(const struct engine *engine, const struct shared_left *left, int rc,
		  const char *why, struct err *err)
{
	char version[sizeof(left->version)], when[32];
	size_t i;

	if (engine->killed)
		return err_set(err, rc, "%s", why);
	for (i = 0; i + 1 < sizeof(version) && left->version[i] > ' ' && left->version[i] < 127; i++)
		version[i] = left->version[i];
	version[i] = 0;
	left_text(left, when, sizeof(when));
	return err_set(err, rc,
		       "pid %d is counted in since a memtrace (version %s) left it on %s, and this one can't "
		       "go on with that: %s; 'memtrace --clear -p %d' ends it",
		       engine->tracee.pid, version, when, why, engine->tracee.pid);
}

static bool was_killed(const struct shared_left *left)
{
	return left->magic == SHARED_KEPT_MAGIC;
}

/* Bytes that nobody else writes. */
static uint8_t *estate_copy(const struct shared *shared, const struct shared_left *left, size_t *len)
{
	bool second = left->current == 2;
	const struct shared_estate_place *place = &left->place[second];
	const uint64_t room = was_killed(left) ? SHARED_ESTATE_BYTES / 2 : SHARED_ESTATE_BYTES;
	uint8_t *copy = left->current && place->bytes <= room ? malloc(place->bytes + 1) : NULL;

	if (!copy)
		return NULL;
	*len = place->bytes;
	memcpy(copy, shared_at(shared, SHARED_ESTATE_AT + (second ? SHARED_ESTATE_BYTES / 2 : 0)), *len);
	if (estate_hash(copy, *len) == place->hash)
		return copy;
	free(copy);
	return NULL;
}

static void own_agent(struct engine *engine, const struct inject_left *found)
{
	struct undo_agent agent = engine->undoing.undo->agent;

	agent.base = found->code;
	agent.len = INJECT_CODE_BYTES;
	agent.control = found->code + BLOB_BYTES;
	agent.memory = found->code + INJECT_CODE_BYTES;
	agent.memory_len = engine->resident.injected.bytes;
	memcpy(agent.head, blob_bytes, sizeof(agent.head));
	undo_agent(engine->undoing.undo, &agent);
}

/* Is each hook of a module that is known again, its patch in place?  (Those of others are forgotten.) */
static bool hooks_hold(struct engine *engine)
{
	struct target *target = &engine->tracee.target;
	const struct undo *undo = engine->undoing.undo;
	bool hold = engine->hooks.list.len > 0;

	for (size_t i = 0; i < engine->hooks.list.len && hold; i++) {
		taddr_t at = stub_patch_at(&engine->hooks.list.at[i].stub);

		hold = false;
		for (uint32_t k = 0; k < undo->patch_count && !hold; k++)
			hold = undo->patch[k].addr == at &&
			       undo_is_patched(&undo->patch[k], target);
	}
	return hold;
}

/* (Clocks may have been set back.) */
static void note_away(const struct shared_left *left, struct ledger *ledger)
{
	uint64_t now, then = left->left_ns / 1000000;
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	now = (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
	ledger->away_ms += now > then ? now - then : 1;
}

static int take(struct engine *engine, const struct inject_left *found, struct err *err)
{
	const struct shared *shared = &engine->resident.injected.shared;
	size_t patched = 0, len = 0;
	uint8_t *bytes = estate_copy(shared, &found->left, &len);
	int rc;

	share_go_on(engine, shared);
	if (!bytes || !estate_read(engine, bytes, len)) {
		free(bytes);
		return refuse(engine, &found->left, -EBADF, "what it has left is damaged", err);
	}
	free(bytes);
	ages_go_on(&engine->ledger.tally.ages, shared);
	own_agent(engine, found);
	engine->resident.tried = true;
	engine->traps.agent = engine->resident.injected.entry;
	for (uint32_t i = 0; i < engine->undoing.undo->patch_count; i++)
		patched += undo_is_patched(&engine->undoing.undo->patch[i],
					   &engine->tracee.target);
	rc = mappings_update(engine, err);
	if (rc)
		return rc;
	if (!hooks_hold(engine) || patched > engine->hooks.list.len)
		return refuse(engine, &found->left, -ESTALE,
			      "its files, or its code, have changed meanwhile", err);
	note_away(&found->left, &engine->ledger);
	return 0;
}

static void give_up(struct engine *engine)
{
	share_give_up(engine);
	undo_clear(engine->undoing.undo);
	hooks_clear(&engine->hooks);
	inject_let_be(&engine->resident.injected);
}

/* As if nothing had been found: all of it is cleared, and counting begins. */
static void begin_anew(struct engine *engine, unsigned depth)
{
	struct ledger *ledger = &engine->ledger;

	engine->resident.tried = false;
	engine->traps.agent = 0;
	ledger_clear(ledger, &engine->tracee);
	ledger_start(ledger, tracee_alive(&engine->tracee));
	if (!ledger_set_depth(ledger, depth)) /* (it is no more than what was read) */
		notify_warning(&engine->notifier, "memory is short: %u frames are kept of a call stack",
			       ledger->depth);
}

/* What is there goes, then. */
static int clear_killed(struct engine *engine, const char *why)
{
	notify(&engine->notifier, NOTICE_REMARK,
	       "The capture of a memtrace that was killed can't be gone on with in pid %d: %s",
	       engine->tracee.pid, why);
	return 0;
}

int takeover(struct engine *engine, struct err *err)
{
	const unsigned depth = engine->ledger.depth;
	struct inject_left found;
	struct err why;
	int rc;

	if (!inject_find_left(&engine->tracee, estate_build(), &found))
		return 0;
	engine->killed = was_killed(&found.left);
	if (engine->killed && engine->resident.engine == CAPTURE_TRAP)
		return clear_killed(engine, "it is by an agent (--engine=agent)");
	if (found.left.build != estate_build())
		return refuse(engine, &found.left, -EEXIST, "it is of another build", err);
	rc = inject_take_up(&engine->tracee, &found, &engine->resident.injected, &why);
	if (rc && engine->killed)
		return clear_killed(engine, why.text);
	if (rc)
		return refuse(engine, &found.left, rc, why.text, err);
	rc = take(engine, &found, err);
	if (rc)
		give_up(engine);
	if (rc && engine->killed) {
		begin_anew(engine, depth);
		return clear_killed(engine, err->text);
	}
	return rc ? rc : 1;
}

/* ---- from now on ------------------------------------------------------------------ */

struct arming {
	struct engine *engine;
	struct err *err;
	int64_t missing; /* blocks; < 0: nobody has looked */
	unsigned tries;
	const char *unsettled; /* why nobody could; or NULL */
};

enum { TRIES_AT_REST = 20 };

static void cant_settle(struct arming *a, const char *why)
{
	a->unsettled = why;
	region_lost(a->engine->ledger.region);
}

/* Who was let run may have ended the process, or be another program by now. */
static bool is_over(const struct engine *engine)
{
	return engine->ending.ended || !engine->ledger.tally.shared;
}

/* What a killed one had in its hands; -EAGAIN: a thread is in the agent, and so may have one. */
static int settle(struct arming *a)
{
	const struct undo_agent *agent = &a->engine->undoing.undo->agent;
	const struct inside_range range = {agent->base - 1, agent->base + agent->len};
	int rc;

	if (!a->engine->killed || a->missing >= 0 || a->unsettled)
		return 0;
	rc = let_out(&a->engine->tracee, &range, a->err);
	if (rc == -EAGAIN && ++a->tries == TRIES_AT_REST) {
		cant_settle(a, "a thread was in the agent all the time");
		return 0;
	}
	if (rc || is_over(a->engine))
		return rc;
	a->missing = missing_settle(a->engine->ledger.tally.shared);
	if (a->missing < 0)
		cant_settle(a, "memory was short");
	return 0;
}

/* What was left is used up first: whoever comes if we are killed now is to clear. */
static int arm(void *arg)
{
	struct arming *a = arg;
	struct engine *engine = a->engine;
	const struct shared *shared = engine->ledger.tally.shared;
	struct shared_left *left;
	int rc = 0;

	if (!is_over(engine))
		rc = traps_change_signal(&engine->traps, engine->traps.signo, a->err);
	if (!rc && !is_over(engine))
		rc = settle(a);
	if (rc || is_over(engine))
		return !rc && engine->ending.ended ? -ECHILD : rc;
	left = shared_at(shared, SHARED_LEFT_AT);
	atom_store32(&left->current, 0);
	atom_store64(&left->magic, 0);
	known_pcs_forget(shared);
	share_threads_go_on(engine);
	atom_store32(&shared_taken(shared)->moved, 0);
	kept_begin(engine);
	atom_store32(&shared_told(shared)->alone, 0);
	trap_choice_kind(engine);
	rc = engine->traps.hard ? traps_use_break(&engine->traps, a->err) : 0;
	if (!rc)
		kept_write(engine);
	return rc;
}

static void tell(const struct engine *engine, const struct arming *arming)
{
	const struct shared_alone *alone = &shared_taken(engine->ledger.tally.shared)->alone;
	const uint64_t away = engine->ledger.away_ms;
	char since[32], lost[160] = "";
	struct tm tm = {0};

	localtime_r(&engine->ledger.counting_since.tv_sec, &tm);
	strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", &tm);
	if (arming->unsettled)
		snprintf(lost, sizeof(lost), "; blocks that it had in its hands count as in use: how many was not to be found, as %s",
			 arming->unsettled);
	else if (arming->missing > 0)
		snprintf(lost, sizeof(lost), "; %" PRId64 " blocks that it had in its hands count as freed",
			 arming->missing);
	notify(&engine->notifier, NOTICE_REMARK,
	       "Going on with a capture that runs since %s%s; %s%" PRIu64 ".%" PRIu64
	       " s of that without memtrace, in which %" PRIu64 " allocations were not resolved%s",
	       since, engine->killed ? ", of a memtrace that was killed" : "",
	       engine->killed ? "at most " : "", away / 1000, away / 100 % 10, alone->allocs, lost);
}

int takeover_arm(struct engine *engine, struct err *err)
{
	struct arming arming = {engine, err, -1, 0, NULL};
	int rc;

	err->code = 0;
	rc = retry_stopped(&engine->tracee, &a_moment, arm, &arming, err);
	if (rc)
		return rc == -ECHILD || err->code ? rc : err_sys(err, rc, "taking up the capture");
	tracee_watch_sharers(&engine->tracee, false);
	tracee_resume(&engine->tracee);
	if (!is_over(engine))
		tell(engine, &arming);
	return 0;
}
