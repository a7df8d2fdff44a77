/*
 * Following what the process maps: modules come and go, hooks with them.
 *
 * The loader calls _dl_debug_state() when its list is about to change and again
 * when it is consistent (<link.h>, struct r_debug); only the second matters.  The
 * thread that called it waits in our trap until the new modules are hooked, so no
 * constructor of theirs runs unseen.
 */
#include "capture/follow.h"

#include <errno.h>

#include "capture/kept.h"
#include "capture/mappings.h"
#include "capture/share.h"
#include "capture/trap_choice.h"
#include "hook/page.h"
#include "hook/predecessor.h"
#include "tracer/retry.h"

enum { APPLY_TRIES = 200, APPLY_PAUSE_MS = 1, PLAN_TRIES = 20 };

/* Looked at before all threads are stopped: it takes a file per thread.  What can't be read is
 * an error: a trap that a filter forbids is death. */
static int look_for_filter(struct engine *engine, struct err *err)
{
	pid_t pid = engine->tracee.pid;
	struct tid_list tids = {0};
	struct status status;
	int rc = status_threads(pid, &tids);

	for (size_t i = 0; !rc && i < tids.len && !engine->traps.filtered; i++) {
		rc = status_read(pid, tids.at[i], &status);
		engine->traps.filtered = !rc && status.seccomp;
		if (rc == -ENOENT || rc == -ESRCH)
			rc = 0; /* that thread has ended */
	}
	vec_deinit(&tids);
	return rc ? err_sys(err, rc, "cannot read whether pid %d has a seccomp filter", pid)
		  : 0;
}

static int plan(struct engine *engine, enum hook_scope scope, size_t *planned, struct err *err)
{
	struct module *loader;
	int rc = mappings_update(engine, err);

	if (rc)
		return rc;
	rc = look_for_filter(engine, err);
	if (rc)
		return rc;
	rc = resident_enter(engine, err);
	if (rc)
		return rc;
	loader = program_loader(&engine->program, &engine->tracee);
	engine->hooks.loader = loader ? loader->instance : 0;
	rc = hooks_plan(&engine->hooks, scope, planned, err);
	share_hooks(engine);
	return rc;
}

struct applying {
	struct engine *engine;
	struct err *err;
};

static int apply_once(void *arg)
{
	struct applying *applying = arg;
	struct engine *engine = applying->engine;

	trap_choice_kind(engine);
	return hooks_apply(&engine->hooks, applying->err);
}

/* All threads are stopped behind it. */
static int apply(struct engine *engine, struct err *err)
{
	const struct retry often = {.tries = APPLY_TRIES,
				    .first_ms = APPLY_PAUSE_MS,
				    .last_ms = APPLY_PAUSE_MS,
				    .unread = RETRY_NECESSARY};
	struct applying applying = {engine, err};

	int rc = retry_stopped(&engine->tracee, &often, apply_once, &applying, err);

	if (!rc) /* ptrace() is patched, too */
		tracee_watch_sharers(&engine->tracee, false);
	if (!rc) /* (of a program that has just been started when its libraries are there) */
		resident_switch(engine, true);
	if (!rc)
		share_threads_enter(engine);
	if (!rc && program_names_at_end(&engine->program))
		tracee_tell_exits(&engine->tracee);
	return rc;
}

/* Once, at an attach: what predecessors left. */
int follow_inherit(struct engine *engine, struct err *err)
{
	int rc = mappings_update(engine, err);

	if (!rc)
		rc = predecessor_clear(&engine->hooks.process, &engine->undoing.left, err);
	if (!rc)
		page_adopt(&engine->hooks);
	return rc;
}

/* The first thread, if it is stopped: until functions are hooked. */
static void stand(struct tracee *tracee, bool stands)
{
	struct thread *thread = tracee_find(tracee, tracee->pid);

	if (thread)
		thread->stands = stands && thread->state == THREAD_STOPPED;
}

/* Stubs that a word on its stack seemed to lead to were left by who put it back, and knew less. */
int follow_begin(struct engine *engine, struct err *err)
{
	stand(&engine->tracee, true);
	return follow_inherit(engine, err);
}

int follow_clear(struct engine *engine, struct err *err)
{
	struct undo_places places;
	int rc = follow_inherit(engine, err);

	if (!rc && page_places_find(&engine->hooks, &places))
		inject_adopt(&engine->tracee, engine->undoing.undo, &places, engine->undoing.left);
	return rc;
}

int follow_modules(struct engine *engine, enum hook_scope scope, struct err *err)
{
	size_t planned = 0;
	int rc = engine->looks.only ? 0 : -ESTALE;

	if (!rc)
		tracee_resume(&engine->tracee);
	for (int tries = 0; tries < PLAN_TRIES && rc == -ESTALE && !engine->ending.ended;
	     tries++) {
		if (tries)
			hooks_unplan(&engine->hooks);
		rc = plan(engine, scope, &planned, err);
		if (!rc && planned)
			rc = apply(engine, err);
		if (rc != -ESTALE)
			stand(&engine->tracee, false);
		tracee_resume(&engine->tracee);
	}
	if (!rc)
		kept_write(engine);
	return rc ? rc : program_check(&engine->program, err);
}

bool follow_is_loading(struct engine *engine)
{
	const struct arch *arch = engine->tracee.arch;
	taddr_t at = engine->hooks.loader_state;
	uint8_t brk[8];
	uint32_t state = 0;

	/* struct r_debug of <link.h>: .., r_brk, r_state */
	return at && !target_read(&engine->tracee.target, at - arch->word_size, brk,
				   arch->word_size) &&
	       !target_read(&engine->tracee.target, at, &state, sizeof(state)) &&
	       (!arch_word(arch, brk) || state);
}

void follow_on_loader(struct engine *engine)
{
	uint32_t state = 0; /* RT_CONSISTENT */

	if (engine->hooks.loader_state &&
	    target_read(&engine->tracee.target, engine->hooks.loader_state, &state,
			sizeof(state)))
		state = 0;
	if (state == 0)
		engine->pending.set |= PENDING_MODULES;
}
