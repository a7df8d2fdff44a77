/*
 * The breakpoint engine's loop: stops in, events out, the target never waits long.
 *
 * Invariants:
 *  - Every stop is handed on exactly as the program would have met it without us;
 *    only the signal of our own trap is dropped.
 *  - An event is counted once (trap_signal.c).
 *  - Whatever ends this (quit, error, exit), engine_leave() puts the target back.
 */
#include "capture/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "capture/frames.h"
#include "hook/predecessor.h"
#include "tracer/attach.h"
#include "tracer/hide.h"
#include "tracer/mend.h"

#define REGION_LIMIT_64 (1ull << 38)
#define REGION_LIMIT_32 (1ull << 29)
#define NO_ALLOCATOR                                                                           \
	"no allocator found in pid %d: no module has a symbol malloc; of a static program "    \
	"that was stripped, --debug-dir=DIR or a memtrace-fs must have the unstripped file"

/* ---- words ------------------------------------------------------------- */

static void say(struct engine *engine, enum notice_kind kind, const char *format, va_list args)
{
	char text[sizeof(((struct notice *)0)->text)];

	vsnprintf(text, sizeof(text), format, args);
	engine->voice.say(engine->voice.arg, kind, text);
}

void engine_step(void *arg, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(arg, NOTICE_STEP, format, args);
	va_end(args);
}

void engine_remark(struct engine *engine, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(engine, NOTICE_REMARK, format, args);
	va_end(args);
}

void engine_warn(void *arg, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(arg, NOTICE_WARNING, format, args);
	va_end(args);
}

static void __attribute__((format(printf, 3, 4)))
tell(struct engine *engine, enum notice_kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(engine, kind, format, args);
	va_end(args);
}

void engine_miss(void *arg, const struct module *module, const char *function,
		 const char *format, ...)
{
	struct engine *engine = arg;
	char reason[sizeof(((struct err *)0)->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	if (missed_add(&engine->missed, module->id.path, function, reason))
		engine_warn(engine, "not followed: %s%s%s: %s", function ? function : "",
			    function ? " in " : "", module->id.path, reason);
}

/* ---- time -------------------------------------------------------------- */

uint32_t engine_now(const struct engine *engine)
{
	return (uint32_t)((clock_ms() - engine->started_ms) / 10);
}

/* ---- begin and end ----------------------------------------------------- */

static void hooks_prepare(struct engine *engine)
{
	struct hooks *hooks = &engine->hooks;

	hooks->process = (struct hook_process){&engine->tracee, engine->undo, &engine->modules,
					       &engine->maps, &engine->externals};
	hooks->notes = (struct hook_notes){engine_step, engine_miss, engine};
	engine->traps.hooks = hooks;
	hooks->payload = traps_payload(&engine->traps);
}

int engine_init(struct engine *ret, const struct capture_options *options,
		const struct engine_voice *voice, const atomic_bool *hurry, struct err *err)
{
	uint64_t limit = sizeof(void *) == 8 ? REGION_LIMIT_64 : REGION_LIMIT_32;
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->guardian.pid = ret->guardian.fd = -1;
	nearby_init(&ret->nearby);
	ret->options = *options;
	ret->voice = *voice;
	ret->started_ms = clock_ms();
	clock_gettime(CLOCK_REALTIME, &ret->counting_since);
	ret->hurry = hurry;
	modules_init(&ret->modules, module_unwind_forget);
	ret->modules.files.hurry = hurry;
	walker_init(&ret->walker, &ret->tracee, &ret->modules, &ret->hooks, NULL);
	ret->undo = undo_create();
	ret->walker.undo = ret->undo;
	ret->walker.maps = &ret->maps;
	ret->externals = options->externals;
	ret->walker.externals = &ret->externals;
	hooks_prepare(ret);
	ret->frames = calloc(options->depth + WALKER_NESTED, sizeof(*ret->frames));
	if (!ret->undo || !ret->frames)
		return err_set(err, -ENOMEM, "memory is short");
	rc = region_space_private(&ret->space, limit);
	if (!rc)
		rc = region_init(&ret->space, &ret->region);
	if (rc)
		return err_sys(err, rc, "cannot reserve memory for the tables");
	ret->book = (struct book){.region = ret->region, .space = &ret->space};
	rc = case_recorder_open(&ret->cases, options->record_case, err);
	return rc ? rc
		  : recorder_open(&ret->recorder, options->record, options->record_every, err);
}

void engine_deinit(struct engine *engine)
{
	guardian_stop(&engine->guardian);
	recorder_close(&engine->recorder);
	case_recorder_close(&engine->cases);
	walker_deinit(&engine->walker);
	hooks_deinit(&engine->hooks);
	missed_deinit(&engine->missed);
	vec_deinit(&engine->let_go);
	externals_deinit(&engine->externals);
	modules_deinit(&engine->modules);
	maps_deinit(&engine->maps);
	region_space_deinit(&engine->space);
	undo_destroy(engine->undo);
	free(engine->frames);
	free(engine->command);
}

/* A target that was just opened: what of it may not answer, and how long to wait then. */
static void target_limit(const struct engine *engine, struct target *target)
{
	target->far = &engine->modules.far;
	target->apart.hurry = engine->hurry;
}

static void hold(struct engine *engine)
{
	struct err err;

	target_limit(engine, &engine->tracee.target);
	engine->traced = true;
	engine->tracee.handle = engine_handle;
	engine->tracee.handle_arg = engine;
	engine->tracee.forget = free;
	engine->tracee.frames = frames_known;
	engine->tracee.frames_arg = &engine->walker;
	engine_choose_signal(engine, 0);
	engine->command = status_command(tracee_alive(&engine->tracee));
	if (guardian_start(&engine->guardian, engine->undo, &err))
		engine_warn(engine,
			    "%s: if memtrace is killed, the process lives on, but slowed down",
			    err.text);
	guardian_watch(&engine->guardian, engine->tracee.pid);
	engine->started_ms = clock_ms();
	clock_gettime(CLOCK_REALTIME, &engine->counting_since);
}

static int no_allocator(const struct engine *engine, struct err *err)
{
	const struct snapshot_missed *missed = engine->missed.at;

	if (!engine->missed.len)
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

	for (int i = 0; i < 50 && !engine->ended && !engine->loading; i++) {
		if (engine_is_loading(engine))
			return true;
		if (tracee_take(&engine->tracee, false) != 1)
			nanosleep(&moment, NULL);
	}
	return engine->loading;
}

int engine_attach(struct engine *engine, pid_t pid, struct err *err)
{
	int rc;

	engine_step(engine, "Attaching to pid %d", pid);
	if (attach_doubt(pid, err))
		engine_warn(engine, "%s", err->text);
	rc = tracee_attach(&engine->tracee, pid, err);
	if (rc)
		return rc;
	hold(engine);
	rc = engine_inherit(engine, err);
	if (!rc)
		rc = engine_follow(engine, HOOK_ALL, err);
	if (!rc && !engine->hooks.allocators && begins_just_now(engine))
		engine->loading = true;
	if (!rc && !engine->hooks.allocators && !engine->loading)
		rc = no_allocator(engine, err);
	if (rc && !status_alive(pid)) /* that is why, whatever was seen of it */
		rc = err_set(err, -ESRCH, "pid %d ended before it could be attached to", pid);
	if (!rc && !engine->ended)
		tell(engine, NOTICE_READY, "Attached to pid %d", pid);
	return rc;
}

/* All libraries are there that come before the program begins, or it is static. */
static void is_loaded(struct engine *engine)
{
	struct err err;

	engine->loading = false;
	if (!engine->hooks.allocators && no_allocator(engine, &err))
		engine_warn(engine, "%s", err.text);
}

int engine_launch(struct engine *engine, char *const argv[], struct err *err)
{
	int rc = tracee_launch(&engine->tracee, argv, engine->options.stdin_null,
			       &engine->options.mask, err);

	if (rc)
		return rc;
	hold(engine);
	engine->loading = true;
	rc = engine_follow(engine, HOOK_LOADER, err);
	if (!rc && !engine->hooks.loader)
		is_loaded(engine);
	if (!rc)
		tell(engine, NOTICE_READY, "Started pid %d", engine->tracee.pid);
	return rc;
}

/* ---- stops ------------------------------------------------------------- */

static void on_signal(struct engine *engine, struct stop *stop)
{
	if (engine_is_our_signal(engine, stop)) {
		stop->thread->deliver = 0;
		nearby_follow(&engine->nearby, engine->tracee.pid, stop->thread->tid);
		return;
	}
	if (engine_keep_signal(engine, stop->thread, stop->signal))
		return;
	engine_trap_overtaken(engine, stop->thread);
	hide_stop(&engine->tracee, stop);
	engine_fatal(engine, stop->thread, stop->signal);
}

/* A fork child has a copy of the patched code and no tracer to be: made whole, and
 * let go before it runs its first instruction. */
static void child_set_free(struct engine *engine, struct thread *child)
{
	mend_child(&engine->tracee, child, engine->undo);
	engine->child = child->tid;
	tracee_let_go(&engine->tracee, child);
}

/* Nothing of the old program is left. */
static void program_forget(struct engine *engine)
{
	struct err err;

	undo_clear(engine->undo);
	hooks_clear(&engine->hooks);
	book_program_ended(&engine->book);
	missed_clear(&engine->missed);
	engine->traps.hard = engine->traps.filtered = engine->harden = engine->resign =
		engine->left = false;
	engine->rescan = engine->unkillable = false;
	engine->dying = engine->parted = 0;
	engine->parting = false;
	engine->tracee.own_breaks = false;
	target_close(&engine->tracee.target);
	if (target_open_traced(&engine->tracee.target, engine->tracee.pid, &err))
		engine_warn(engine, "%s", err.text);
	target_limit(engine, &engine->tracee.target);
}

/* The statistics begin anew; but those of the old program are the last where the new one is
 * another machine's: its code can't be patched by us, and we leave. */
static void on_exec(struct engine *engine)
{
	char **command = status_command(engine->tracee.pid);
	const char *name = command && command[0] ? command[0] : "?";
	struct err err;
	int rc = attach_check_machine(engine->tracee.pid, &err);

	tracee_hand_out_children(&engine->tracee); /* by the old log */
	program_forget(engine);
	if (rc) {
		err_set(&engine->stranger, rc, "process %d now runs %s and is let go: %s",
			engine->tracee.pid, name, err.text);
		free(command);
		return;
	}
	free(engine->command);
	engine->command = command;
	engine_clear(engine);
	engine_choose_signal(engine, 0);
	engine->loading = true;
	engine->rescan = true;
	tell(engine, NOTICE_EXEC, "%s", name);
}

int engine_check_program(const struct engine *engine, struct err *err)
{
	if (engine->stranger.code)
		*err = engine->stranger;
	return engine->stranger.code;
}

static void on_exit_of_process(struct engine *engine, int status)
{
	engine->ended = true;
	engine->end = WIFSIGNALED(status) ? CAPTURE_KILLED : CAPTURE_EXITED;
	engine->status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

void engine_handle(void *arg, struct stop *stop)
{
	struct engine *engine = arg;
	struct thread *thread = stop->thread;

	switch (stop->kind) {
	case STOP_SIGNAL:
		on_signal(engine, stop);
		break;
	case STOP_QUIET:
	case STOP_GROUP:
		engine_trap_overtaken(engine, thread);
		hide_stop(&engine->tracee, stop);
		break;
	case STOP_CHILD:
		if (!stop->shares_memory || engine->ended) {
			child_set_free(engine, thread);
			return;
		}
		break;
	case STOP_ASKS:
		engine->parting = engine->rescan = true;
		return;
	case STOP_GUEST_EXEC:
		tracee_let_go(&engine->tracee, thread);
		return;
	case STOP_EXEC:
		if (thread->owner)
			memset(thread->owner, 0, sizeof(struct engine_thread));
		on_exec(engine);
		return; /* waits for the rescan */
	case STOP_THREAD_EXIT:
		if (thread->owner)
			book_abandon(&engine->book, &engine_thread(thread)->book);
		return;
	case STOP_EXIT:
		on_exit_of_process(engine, stop->status);
		return;
	}
	if (!engine->rescan)
		tracee_continue(&engine->tracee, thread);
}

/* The loader's list has changed, or a new program has begun, or the end has come: a thread
 * waits. */
static int rescan(struct engine *engine, struct err *err)
{
	bool begins = engine->loading && engine->hooks.list.len == 0;
	int rc;

	if (engine->dying) {
		rc = engine_bury(engine, err);
		return rc == -ECHILD ? 0 : rc;
	}
	engine->rescan = false;
	rc = engine_change_trap(engine, err);
	if (!rc)
		rc = engine_part(engine, err);
	if (rc)
		return rc == -ECHILD ? 0 : rc;
	rc = engine_follow(engine, begins ? HOOK_LOADER : HOOK_ALL, err);
	if (rc)
		return rc == -ECHILD ? 0 : rc;
	if (engine->loading && (!begins || !engine->hooks.loader))
		is_loaded(engine);
	return 0;
}

int engine_turn(struct engine *engine, struct err *err)
{
	/* (an exec seen while we attached: its thread waits for us, and nothing else comes) */
	int rc = engine->rescan ? 0 : tracee_take(&engine->tracee, true);

	if (rc == -ECHILD) {
		/* Its leader had ended before we came: nobody tells us the status. */
		engine->ended = true;
		engine->end = CAPTURE_GONE;
		return 0;
	}
	if (rc < 0)
		return err_sys(err, rc, "waiting for pid %d", engine->tracee.pid);
	if (engine->walker.no_rows)
		tell(engine, NOTICE_NO_ROWS, "%s", engine->walker.no_rows->id.path);
	engine->walker.no_rows = NULL;
	while (engine->rescan && !engine->ended) {
		rc = rescan(engine, err);
		if (rc < 0)
			return rc;
	}
	return engine_check_program(engine, err);
}

/* ---- reading ----------------------------------------------------------- */

static void thread_forget(void *arg, struct thread *thread)
{
	(void)arg;
	if (thread->owner)
		book_forget(&engine_thread(thread)->book);
}

void engine_clear(struct engine *engine)
{
	tracee_for_each(&engine->tracee, thread_forget, NULL);
	region_clear(engine->region, &engine->space);
	clock_gettime(CLOCK_REALTIME, &engine->counting_since);
}

void engine_take_externals(struct engine *engine, struct externals *externals)
{
	while (externals->len &&
	       vec_push(&engine->externals, externals->at[externals->len - 1]))
		externals->len--;
	walker_forget(&engine->walker);
}
