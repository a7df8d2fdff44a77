/* The agent's coming and going; see resident.h. */
#include "capture/resident.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "capture/engine.h"
#include "capture/parts.h"
#include "capture/share.h"
#include "hook/page.h"
#include "tracer/inject_left.h"
#include "tracer/inject_parts.h"
#include "tracer/memory_limit.h"
#include "tracer/retry.h"

enum {
	/* of 64 KB: so much at most is taken for live blocks and counters */
	PIECES = SHARED_WIDE ? 8192 : 4096,
	PIECES_LEAST = 64,
	SHARE = 4,	 /* and of what is left of the machine's memory, and the process' limits, 1/4 */
	LEAST_MB = 64, /* else none is put there unasked: 10 MB are taken soon */
	CODE_KB = INJECT_CODE_BYTES >> 10,
	SHIFT = 4, /* allocators give multiples of 16 bytes, or of 8; and none that is smaller than 16 */
};

static const struct retry a_moment = {
	.tries = 12, .first_ms = 1, .last_ms = 16, .unread = RETRY_FETCHED};

/* (A thread that can make the calls, and none inside, at once; else the attach is refused.) */
static const struct retry a_while = {
	.tries = 48, .first_ms = 1, .last_ms = 16, .unread = RETRY_FETCHED};

/* ---- in ------------------------------------------------------------------ */

struct entering {
	struct engine *engine;
	struct injection injection;
	struct err *err;
};

static int enter_once(void *arg)
{
	struct entering *e = arg;

	if (e->engine->ending.ended)
		return -ECHILD;
	return inject_next(&e->injection, &e->engine->resident.injected, e->err);
}

static int leave_once(void *arg)
{
	struct engine *engine = arg;

	return engine->ending.ended ? -ECHILD : resident_leave(engine);
}

/* What a memtrace knew that was killed, guardian and all, nobody knows any more: that is said. */
static void tell_of_predecessor(struct engine *engine)
{
	uint64_t allocs, frees;

	if (inject_find_orphan(&engine->tracee, &allocs, &frees))
		notify(&engine->notifier, NOTICE_REMARK,
		       "A memtrace that was killed had counted in pid %d (%" PRIu64 " allocations and %" PRIu64
		       " frees by its agent): that is gone, counting begins anew",
		       engine->tracee.pid, allocs, frees);
}

/* A predecessor's goes first: -EBUSY, where it can't. */
static int clear(struct engine *engine, const struct undo_places *places, struct err *err)
{
	struct undo *undo = engine->undoing.undo;
	int rc;

	tell_of_predecessor(engine);
	if (!inject_adopt(&engine->tracee, undo, places, engine->undoing.left) && !undo->agent.len)
		return 0;
	if (engine->undoing.left) /* stubs that lead there */
		return err_set(err, -EBUSY, "the one of a killed memtrace is in use there");
	rc = retry_stopped(&engine->tracee, &a_while, leave_once, engine, err);
	return rc ? err_set(err, -EBUSY, "the one of a killed memtrace can't be taken out: %s",
			    strerror(-rc))
		  : 0;
}

static uint32_t pieces_for(uint64_t left)
{
	uint64_t pieces = left / SHARE / SHARED_PIECE;

	return pieces > PIECES ? PIECES : pieces < PIECES_LEAST ? PIECES_LEAST : (uint32_t)pieces;
}

int resident_doubt(pid_t pid, const struct arch *arch, bool insists, struct err *err)
{
	uint64_t left;
	int rc;

	if (!parts_have(PART_agent))
		return err_set(err, -ENOSYS, "this memtrace was made without one");
	left = memory_left(pid);
	if (left >> 20 < LEAST_MB && !insists)
		return err_set(err, -ENOTSUP, "memory is short: %" PRIu64 " MB are left, and it takes %d and more",
			       left >> 20, LEAST_MB / SHARE);
	rc = inject_doubt(pid, arch, shared_bytes(pieces_for(left)), err);
	if (rc || insists || SHARED_WIDE)
		return rc;
	/* (32-bit ARM: tests/cross/test_agent.py was seen with one there, the other tests were not) */
	return err_set(err, -ENOSYS, "on this CPU there is one only where it is asked for (--engine=agent)");
}

static int enter(struct engine *engine, struct err *err)
{
	const pid_t alive = tracee_alive(&engine->tracee);
	struct entering e = {.engine = engine, .err = err};
	int rc;

	e.injection = (struct injection){.tracee = &engine->tracee,
					 .undo = engine->undoing.undo,
					 .pieces = pieces_for(memory_left(alive)),
					 .shift = SHIFT};
	rc = resident_doubt(alive, engine->tracee.arch,
			    engine->resident.engine == CAPTURE_AGENT, err);
	if (rc || !parts_have(PART_agent))
		return rc;
	if (!page_places_find(&engine->hooks, &e.injection.places))
		return err_set(err, -ENOSPC, "no room for the code that would map it");
	rc = clear(engine, &e.injection.places, err);
	if (rc)
		return rc;
	rc = retry_stopped(&engine->tracee, &a_moment, enter_once, &e, err);
	inject_end(&e.injection);
	if (rc == -EAGAIN)
		err_set(err, rc, "no thread could make the system calls that map it");
	if (!rc || engine->ending.ended || !engine->tracee.all_stopped)
		return rc;
	/* What stays, off and unused, is tried again when we leave. */
	err_ignore(retry_stopped(&engine->tracee, &a_moment, leave_once, engine, NULL));
	return rc;
}

/* Without one of our own, too, a predecessor's is taken out, when we leave. */
static void adopt(struct engine *engine)
{
	struct undo_places places;

	if (!parts_have(PART_agent) || !page_places_find(&engine->hooks, &places))
		return;
	tell_of_predecessor(engine);
	inject_adopt(&engine->tracee, engine->undoing.undo, &places, engine->undoing.left);
}

int resident_enter(struct engine *engine, struct err *err)
{
	struct resident *resident = &engine->resident;
	struct err why = {.code = 0};
	int rc;

	if (resident->tried)
		return 0;
	resident->tried = true;
	if (resident->engine == CAPTURE_TRAP) {
		adopt(engine);
		return 0;
	}
	rc = enter(engine, &why);
	if (!engine->program.loading) /* else it is stopped until functions are hooked */
		tracee_resume(&engine->tracee);
	engine->traps.agent = rc ? 0 : resident->injected.entry;
	if (!rc)
		share_begin(engine, &resident->injected.shared);
	if (!rc || engine->ending.ended)
		return 0;
	snprintf(resident->reason, sizeof(resident->reason), "%.150s", why.text);
	/* (of a child, whose stack may seem to lead to its parent's, nobody has asked for it) */
	if (resident->engine == CAPTURE_AGENT && !engine->inherited.parent)
		return err_set(err, rc, "no agent in pid %d: %s", engine->tracee.pid, why.text);
	if (rc == -ENOSYS) /* as ever, here: the report has it */
		return 0;
	notify(&engine->notifier, NOTICE_REMARK, "No agent in pid %d, every call stops: %s",
	       engine->tracee.pid, why.text);
	return 0;
}

/* ---- on, off, out ---------------------------------------------------------- */

struct asking {
	struct tracee *tracee;
	bool lacks;
};

static void thread_ask(void *arg, struct thread *thread)
{
	struct asking *a = arg;

	if (thread->state == THREAD_STOPPED && !thread_pointer(a->tracee, thread))
		a->lacks = true;
}

int resident_switch(struct engine *engine, bool on)
{
	struct asking asking = {&engine->tracee, false};

	if (!engine->resident.injected.entry)
		return -ENOENT;
	if (on && engine->tracee.arch->tls_is_read)
		tracee_for_each(&engine->tracee, thread_ask, &asking);
	engine->resident.owed = asking.lacks;
	return asking.lacks ? -EAGAIN
			    : inject_switch(engine->undoing.undo, &engine->tracee.target, on);
}

int resident_ask(struct engine *engine, struct err *err)
{
	int rc = tracee_stop(&engine->tracee, err);

	if (!rc && engine->resident.owed)
		resident_switch(engine, true);
	return rc;
}

static bool lacks_room(const struct shared *shared)
{
	for (enum shared_part part = SHARED_PART_NODES; part <= SHARED_PART_PIECES; part++)
		if (shared_is_full(shared, part))
			return true;
	return false;
}

static void tell_if_full(struct engine *engine)
{
	const struct shared *shared = &engine->resident.injected.shared;

	if (engine->resident.full || !lacks_room(shared))
		return;
	engine->resident.full = true;
	notify_warning(&engine->notifier,
		       "pid %d: the agent's memory is full (%u MB: 1/%d of what was left, %d at most); calls that find "
		       "no room there stop",
		       engine->tracee.pid, shared->pieces * (SHARED_PIECE >> 10) >> 10, SHARE,
		       PIECES * (SHARED_PIECE >> 10) >> 10);
}

/* (Its code is private memory, in full.) */
void resident_measure(struct engine *engine)
{
	struct resident *resident = &engine->resident;
	bool is_there = parts_have(PART_agent) && resident->injected.entry &&
			(engine->undoing.undo->agent.len || resident->stays);

	atomic_store(&resident->taken_kb,
		     is_there ? (unsigned)(inject_taken(&resident->injected) >> 10) + CODE_KB : 0);
	if (is_there)
		tell_if_full(engine);
}

/* Of its file's pages those are resident there that the program's threads have come to, which are
 * nearly all; but no more than it has of shared memory. */
uint64_t resident_of_program(const struct resident *resident, const struct status *status)
{
	uint64_t taken = atomic_load(&resident->taken_kb);
	uint64_t shared = taken ? taken - CODE_KB : 0, agents;

	if (!taken)
		return status->resident_kb << 10;
	agents = (shared < status->shared_kb ? shared : status->shared_kb) + CODE_KB;
	return status->resident_kb > agents ? (status->resident_kb - agents) << 10 : 0;
}

int resident_leave(struct engine *engine)
{
	return inject_remove(&engine->tracee, engine->undoing.undo);
}

void resident_forget(struct resident *resident)
{
	if (resident->stays)
		inject_let_be(&resident->injected);
	inject_forget(&resident->injected);
	resident->stays = resident->faults = false;
	resident->tried = resident->owed = resident->full = false;
	resident->asked = 0;
	resident->reason[0] = 0;
	atomic_store(&resident->taken_kb, 0);
}
