/*
 * Following what the process maps: modules come and go, hooks with them.
 *
 * The loader calls _dl_debug_state() when its list is about to change and again
 * when it is consistent (<link.h>, struct r_debug); only the second matters.  The
 * thread that called it waits in our trap until the new modules are hooked, so no
 * constructor of theirs runs unseen.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "capture/engine.h"
#include "hook/entries.h"
#include "hook/page.h"
#include "hook/predecessor.h"
#include "tracer/retry.h"

enum {
	AT_BASE_TAG = 7,
	AT_ENTRY_TAG = 9,
	APPLY_TRIES = 200,
	APPLY_PAUSE_MS = 1,
	PLAN_TRIES = 20
};

/* Of the auxiliary vector (getauxval(3)): where the program interpreter lies, if there is one,
 * and where the program begins. */
struct auxv {
	taddr_t base, entry;
};

static struct auxv auxv_read(struct engine *engine)
{
	const struct arch *arch = engine->tracee.arch;
	unsigned size = arch->word_size;
	struct auxv auxv = {0, 0};
	char path[64];
	uint8_t pair[16];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/auxv", tracee_alive(&engine->tracee));
	file = fopen(path, "re");
	while (file && fread(pair, size, 2, file) == 2) {
		uint64_t tag = arch_word(arch, pair), value = arch_word(arch, pair + size);

		if (tag == AT_BASE_TAG)
			auxv.base = value;
		else if (tag == AT_ENTRY_TAG)
			auxv.entry = value;
	}
	if (file)
		fclose(file);
	return auxv;
}

/* The dynamic loader: the interpreter, or what was started itself, with the program as its
 * argument.  NULL: a static program, whatever of a loader is in it for its dlopen(). */
static struct module *loader_of(struct engine *engine)
{
	struct auxv auxv = auxv_read(engine);
	struct module *program;
	struct image_symbol symbol;

	if (auxv.base)
		return modules_find(&engine->modules, auxv.base);
	program = modules_find(&engine->modules, auxv.entry);
	return program && entries_are_of(program, engine->tracee.arch) &&
			       image_symbol_find(program->image, "_dl_debug_state", &symbol) &&
			       symbol.dynamic
		       ? program
		       : NULL;
}

int engine_rescan_modules(struct engine *engine, bool *changed, struct err *err)
{
	struct maps maps = {0};
	size_t known = engine->modules.list.len;
	pid_t alive = tracee_alive(&engine->tracee);
	int rc = maps_read(alive, &maps, err);

	if (rc)
		return rc;
	rc = modules_update(&engine->modules, alive, &maps, &engine->tracee.target.memory,
			    changed, err);
	maps_deinit(&engine->maps);
	engine->maps = maps;
	if (rc)
		return rc;
	for (size_t i = known; i < engine->modules.list.len; i++) {
		const struct module *module = engine->modules.list.at[i];

		engine_step(engine, "Opening %s begin=0x%" PRIx64 " offset=0", module->id.path,
			    module->begin);
		if (!module->image)
			engine_miss(engine, module, NULL, "%s", module->why);
		else if (module->silent)
			engine_warn(engine, "%s: %s; what of it is in memory is used",
				    module->id.path, module->why);
	}
	if (*changed) {
		walker_forget(&engine->walker);
		engine->walker.first_sp = status_first_sp(alive);
		recorder_maps_changed(&engine->recorder);
		hooks_forget_unmapped(&engine->hooks);
	}
	return 0;
}

/* Looked at before the world is stopped: it takes a file per thread.  What can't be read is
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
	bool changed = false;
	int rc = engine_rescan_modules(engine, &changed, err);

	if (rc)
		return rc;
	rc = look_for_filter(engine, err);
	if (rc)
		return rc;
	loader = loader_of(engine);
	engine->hooks.loader = loader ? loader->instance : 0;
	return hooks_plan(&engine->hooks, scope, planned, err);
}

struct applying {
	struct engine *engine;
	struct err *err;
};

static int apply_once(void *arg)
{
	struct applying *applying = arg;
	struct engine *engine = applying->engine;

	engine_choose_trap(engine);
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
		tracee_watch_guests(&engine->tracee, false);
	return rc;
}

/* Once, at an attach: what predecessors left. */
int engine_inherit(struct engine *engine, struct err *err)
{
	bool changed;
	int rc = engine_rescan_modules(engine, &changed, err);

	if (!rc)
		rc = predecessor_clear(&engine->hooks.process, &engine->left, err);
	if (!rc)
		page_adopt(&engine->hooks);
	return rc;
}

int engine_follow(struct engine *engine, enum hook_scope scope, struct err *err)
{
	size_t planned = 0;
	int rc = -ESTALE;

	for (int tries = 0; tries < PLAN_TRIES && rc == -ESTALE && !engine->ended; tries++) {
		if (tries)
			hooks_unplan(&engine->hooks);
		rc = plan(engine, scope, &planned, err);
		if (!rc && planned)
			rc = apply(engine, err);
		tracee_resume(&engine->tracee);
	}
	return rc ? rc : engine_check_program(engine, err);
}

bool engine_is_loading(struct engine *engine)
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

void engine_loader(struct engine *engine)
{
	uint32_t state = 0; /* RT_CONSISTENT */

	if (engine->hooks.loader_state &&
	    target_read(&engine->tracee.target, engine->hooks.loader_state, &state,
			sizeof(state)))
		state = 0;
	engine->rescan |= state == 0;
}
