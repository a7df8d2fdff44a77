/*
 * The breakpoint engine's begin, loop and end: stops in, events out, the target never waits
 * long.  Whatever ends this (quit, error, exit), detach_process() puts the target back.
 */
#include "capture/engine.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "capture/core_dump.h"
#include "capture/detach.h"
#include "capture/dispatcher.h"
#include "capture/follow.h"
#include "capture/hold.h"
#include "capture/kept.h"
#include "capture/parts.h"
#include "capture/takeover.h"
#include "capture/traceme.h"
#include "capture/trap_choice.h"
#include "capture/wanted.h"
#include "tracer/attach.h"
#include "tracer/runners.h"

#define NO_ALLOCATOR                                                                           \
	"no allocator found in pid %d: no module has a symbol malloc; of a static program "    \
	"that was stripped, --debug-dir=DIR or a memtrace-fs must have the unstripped file"

/* ---- begin and end ----------------------------------------------------- */

static void walker_prepare(struct engine *engine)
{
	struct walker *walker = &engine->ledger.walker;

	walker_init(walker, &engine->tracee, &engine->program.modules, &engine->hooks,
		    engine->undoing.undo);
	walker->maps = &engine->program.maps;
	walker->externals = &engine->program.externals;
	walker->jit = &engine->program.jit;
	walker->objects = &engine->program.objects;
}

static void hooks_prepare(struct engine *engine)
{
	struct hooks *hooks = &engine->hooks;
	struct program *program = &engine->program;

	hooks->process =
		(struct hook_process){&engine->tracee, engine->undoing.undo, &program->modules,
				      &program->maps, &program->externals};
	hooks->notes = (struct hook_notes){notify_step, notify_missed, &engine->notifier};
	hooks->numbers_end = SHARED_HOOKS;
	engine->traps.hooks = hooks;
	hooks->payload = traps_payload(&engine->traps);
}

int engine_init(struct engine *ret, const struct capture_options *options,
		const struct notifier *notifier, const atomic_bool *hurry, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	ret->undoing.guardian.pid = ret->undoing.guardian.fd = -1;
	affinity_init(&ret->affinity);
	ret->notifier = *notifier;
	program_init(&ret->program, hurry);
	ret->program.externals = options->externals;
	ret->undoing.undo = undo_create();
	walker_prepare(ret);
	hooks_prepare(ret);
	if (!ret->undoing.undo)
		return err_set(err, -ENOMEM, "memory is short");
	ret->hooks.mappings = options->mappings;
	/* (what is recorded for the tests are stops) */
	atomic_init(&ret->resident.taken_kb, 0);
	ret->resident.engine = options->record || options->record_case ? CAPTURE_TRAP
								     : options->engine;
	ret->stays = options->stay;
	ret->clears = options->clear;
	ret->heirs = (struct heirs){.socket = options->heirs ? options->heirs : -1,
				    .room = options->heirs_room,
				    .forks = options->heirs_forks,
				    .programs = options->heirs_programs,
				    .once = options->heirs_once,
				    .own = options->born && !options->heirs_once};
	ret->looks = (struct looks){options->look_only, options->look_at_end, 0};
	return ledger_init(&ret->ledger, options, err);
}

void engine_deinit(struct engine *engine)
{
	guardian_stop(&engine->undoing.guardian);
	ledger_deinit(&engine->ledger);
	hooks_deinit(&engine->hooks);
	notify_deinit(&engine->notifier);
	vec_deinit(&engine->ending.threads);
	program_deinit(&engine->program);
	undo_destroy(engine->undoing.undo);
	resident_forget(&engine->resident);
	inherited_forget(&engine->inherited);
}

static void guard(struct engine *engine)
{
	struct undoing *undoing = &engine->undoing;
	struct err err;

	if (guardian_start(&undoing->guardian, undoing->undo, &err))
		notify_warning(
			&engine->notifier,
			"%s: if memtrace is killed, the process lives on, but slowed down",
			err.text);
	guardian_watch(&undoing->guardian, engine->tracee.pid);
}

static void hold(struct engine *engine)
{
	struct tracee *tracee = &engine->tracee;

	hold_tracee(engine);
	trap_choice_signal(engine, 0);
	engine->program.command = status_command(tracee_alive(tracee));
	guard(engine);
	ledger_start(&engine->ledger, tracee_alive(tracee));
	tracee_settle_sharers(tracee);
}

static int no_allocator(const struct engine *engine, struct err *err)
{
	const struct snapshot_missed *missed = engine->notifier.missed.at;

	if (!engine->notifier.missed.len)
		return err_set(err, -ENOENT, NO_ALLOCATOR, engine->tracee.pid);
	return err_set(err, -ENOENT, "no allocator of pid %d can be followed; %s%s%s: %s",
		       engine->tracee.pid, missed->function ? missed->function : "",
		       missed->function ? " in " : "", missed->module, missed->reason);
}

/* No allocator is there: has the program just been started, without us, or does another
 * one begin by an exec that we are still to be told of? */
static bool begins_just_now(struct engine *engine)
{
	struct timespec moment = {0, 1000000};

	for (int i = 0; i < 50 && !engine->ending.ended && !engine->program.loading; i++) {
		if (follow_is_loading(engine))
			return true;
		if (tracee_take(&engine->tracee, false) != 1)
			nanosleep(&moment, NULL);
	}
	return engine->program.loading;
}

static int follow(struct engine *engine, struct err *err)
{
	int rc = parts_have(PART_agent) ? takeover(engine, err) : 0;
	bool taken = rc > 0;

	rc = taken ? 0 : rc ? rc : follow_inherit(engine, err);
	if (!rc)
		rc = follow_modules(engine, HOOK_ALL, err);
	if (!rc && taken && !engine->ending.ended)
		rc = takeover_arm(engine, err);
	if (!rc && !engine->hooks.allocators && begins_just_now(engine))
		engine->program.loading = true;
	if (!rc && !engine->hooks.allocators && !engine->program.loading)
		rc = no_allocator(engine, err);
	return rc;
}

/* Those of a process that is attached to; a launched one's thread is stopped. */
static int tell_exits(struct engine *engine, struct err *err)
{
	int rc;

	if (!engine->looks.at_end)
		return 0;
	rc = tracee_stop(&engine->tracee, err);
	if (rc)
		return rc == -ECHILD ? 0 : rc;
	tracee_tell_exits(&engine->tracee);
	tracee_resume(&engine->tracee);
	return 0;
}

int engine_attach(struct engine *engine, pid_t pid, struct err *err)
{
	int rc;

	notify_step(&engine->notifier, "Attaching to pid %d", pid);
	if (attach_doubt(pid, err))
		notify_warning(&engine->notifier, "%s", err->text);
	rc = tracee_attach(&engine->tracee, pid, err);
	if (rc)
		return rc;
	hold(engine);
	rc = tell_exits(engine, err);
	if (!rc && engine->clears)
		rc = follow_clear(engine, err);
	else if (!rc && !engine->looks.only)
		rc = follow(engine, err);
	if (rc && !status_alive(pid)) /* that is why, whatever was seen of it */
		rc = err_set(err, -ESRCH, "pid %d ended before it could be attached to", pid);
	if (!rc && !engine->ending.ended)
		notify(&engine->notifier, NOTICE_READY, "Attached to pid %d", pid);
	return rc;
}

/* All libraries are there that come before the program begins, or it is static. */
static void is_loaded(struct engine *engine)
{
	struct err err;

	engine->program.loading = false;
	if (!engine->hooks.allocators && no_allocator(engine, &err))
		notify_warning(&engine->notifier, "%s", err.text);
}

static int follow_taken(struct engine *engine, struct err *err)
{
	int rc = follow_begin(engine, err);

	if (!rc)
		rc = follow_modules(engine, HOOK_ALL, err);
	if (!rc && !engine->hooks.allocators && begins_just_now(engine))
		engine->program.loading = true;
	if (!rc && !engine->program.loading)
		is_loaded(engine);
	return rc;
}

int engine_take(struct engine *engine, pid_t pid, int file, struct err *err)
{
	struct handover given;
	bool late = false;
	int rc = heir_open(file, &given, &engine->inherited, err);

	if (!rc)
		rc = tracee_attach(&engine->tracee, pid, err);
	if (rc) {
		heirs_decline(file);
		return rc == -ESRCH ? err_set(err, rc, "pid %d ended before it could be followed", pid) : rc;
	}
	rc = handover_take(&engine->tracee, &given, &late, err);
	if (rc)
		return rc;
	engine->ledger.book.inherits = inherited_is_freed;
	engine->ledger.book.inherits_arg = &engine->inherited;
	hold(engine);
	rc = late ? follow(engine, err) : follow_taken(engine, err);
	if (late)
		notify_warning(&engine->notifier,
			       "pid %d ran for a while before it was followed: what it allocated "
			       "until then is not counted",
			       pid);
	if (rc && !status_alive(pid))
		rc = err_set(err, -ESRCH, "pid %d ended before it could be followed", pid);
	if (!rc && !engine->ending.ended)
		notify(&engine->notifier, NOTICE_READY, "Attached to pid %d, a child of %d", pid,
		       engine->inherited.parent);
	return rc;
}

int engine_launch(struct engine *engine, const struct capture_options *options,
		  char *const argv[], struct err *err)
{
	struct launch_files files = options->files;
	int rc;

	files.stdin_null = options->stdin_null;
	rc = tracee_launch(&engine->tracee, argv, &files, &options->mask, err);
	if (rc)
		return rc;
	hold(engine);
	if (!engine->heirs.once)
		wanted_own(engine);
	if (engine->looks.at_end)
		tracee_tell_exits(&engine->tracee);
	engine->program.loading = true;
	rc = follow_modules(engine, HOOK_LOADER, err);
	if (!rc && !engine->hooks.loader)
		is_loaded(engine);
	if (!rc)
		notify(&engine->notifier, NOTICE_READY, "Started pid %d", engine->tracee.pid);
	return rc;
}

/* ---- what is pending --------------------------------------------------- */

static void let_go_to_die(struct engine *engine)
{
	notify_warning(&engine->notifier,
		       "pid %d, the first process of its namespace, dies of a signal only when "
		       "it is not traced: let go",
		       engine->tracee.pid);
	detach_process(engine);
}

static int modules_do(struct engine *engine, struct err *err)
{
	bool begins = engine->program.loading && engine->hooks.list.len == 0;
	int rc = follow_modules(engine, begins ? HOOK_LOADER : HOOK_ALL, err);

	if (!rc && engine->program.loading && (!begins || !engine->hooks.loader))
		is_loaded(engine);
	return rc;
}

/* All at once; what comes up meanwhile is for the next time, and whoever waits for that waits
 * on. */
static int pending_do(struct engine *engine, struct err *err)
{
	struct pending *pending = &engine->pending;
	int rc = 0;

	if (pending->set & PENDING_DETACH) {
		let_go_to_die(engine);
		return 0;
	}
	if (pending->set & PENDING_CORE_DUMP)
		return core_dump_prepare(engine, err);
	pending->now = pending->set;
	pending->set = 0;
	if (pending->now & PENDING_SIGNAL)
		rc = trap_choice_change_signal(engine, err);
	if (!rc && (pending->now & PENDING_HARD))
		rc = trap_choice_use_break(engine, err);
	if (!rc && (pending->now & PENDING_TRACEME))
		rc = traceme_let_go(engine, err);
	if (!rc && (pending->now & PENDING_AGENT))
		rc = resident_ask(engine, err);
	if (!rc && (pending->now & PENDING_MODULES))
		return modules_do(engine, err);
	if (!rc && !pending->set)
		tracee_resume(&engine->tracee);
	return rc;
}

/* ---- the loop ---------------------------------------------------------- */

static void tell_of_rows(struct engine *engine)
{
	struct walker *walker = &engine->ledger.walker;

	if (walker->no_rows)
		notify(&engine->notifier, NOTICE_NO_ROWS, "%s", walker->no_rows->id.path);
	walker->no_rows = NULL;
}

int engine_turn(struct engine *engine, struct err *err)
{
	struct ending *ending = &engine->ending;
	/* (an exec seen while we attached: its thread waits for us, and nothing else comes) */
	int rc = engine->pending.set ? 0 : tracee_take(&engine->tracee, true);

	if (rc == -ECHILD && ending->ended) { /* nobody is left who might begin a program */
		runners_leave(&engine->tracee);
		return 0;
	}
	if (rc == -ECHILD) {
		/* Its leader had ended before we came: nobody tells us the status. */
		ending->ended = true;
		ending->end = CAPTURE_GONE;
		return 0;
	}
	if (rc < 0)
		return err_sys(err, rc, "waiting for pid %d", engine->tracee.pid);
	tell_of_rows(engine);
	while (engine->pending.set && !ending->ended) {
		rc = pending_do(engine, err);
		if (rc && rc != -ECHILD) /* its end is still to be handed out */
			return rc;
	}
	kept_look(engine);
	return program_check(&engine->program, err);
}

void engine_take_externals(struct engine *engine, struct externals *externals)
{
	while (externals->len &&
	       vec_push(&engine->program.externals, externals->at[externals->len - 1]))
		externals->len--;
	walker_forget(&engine->ledger.walker);
}
