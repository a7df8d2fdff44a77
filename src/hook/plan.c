/*
 * Planning hooks: what is where, by the files; nothing is changed.
 *
 * Only code that is known to be whole is displaced (code.h).  The patch of a predecessor that
 * was killed, known by where it jumps to (an area with our magic), is simply written over;
 * space that is still in use is passed over (predecessor.h wipes it when nobody is inside).
 *
 * The target runs meanwhile, and changes: what a plan relies on goes with it (hook.code,
 * area.old, and their places), and is looked at again before it is applied.
 */
#include "hook/hooks.h"

#include <errno.h>
#include <string.h>

#include "hook/choice.h"
#include "hook/free_space.h"
#include "hook/page.h"
#include "hook/ways.h"

struct planning {
	struct hooks *hooks;
	const struct hook_process *process;
	const struct arch *arch;
	const char *half; /* a function that is needed, of the module that is looked through,
			     and can't be followed */
	bool gone;	  /* .. as its code can't be read */
};

/* ---- hooks ------------------------------------------------------------- */

static struct entries entries_of(const struct planning *p, struct module *module)
{
	return (struct entries){
		.module = module,
		.arch = p->arch,
		.externals = p->process->externals,
		.mappings = p->hooks->mappings,
	};
}

static bool seen_before(const struct hooks *hooks, uint32_t instance)
{
	for (size_t i = 0; i < hooks->seen.len; i++)
		if (hooks->seen.at[i] == instance)
			return true;
	return false;
}

static bool hooked_before(const struct hooks *hooks, taddr_t address)
{
	for (size_t i = 0; i < hooks->list.len; i++)
		if (hooks->list.at[i].address == address)
			return true;
	return false;
}

/* Which hook, of those found in the module since `first`, is of this name?  An alias
 * has only one: memalign may be aligned_alloc's. */
static bool hook_named(const struct planning *p, struct module *module, size_t first,
		       const char *name, uint32_t *ret)
{
	struct entries entries = entries_of(p, module);
	struct image_symbol symbol;

	if (!entries_find(&entries, name, &symbol))
		return false;
	code_follow(p->arch, module, &symbol);
	for (size_t i = first; i < p->hooks->list.len; i++) {
		if (p->hooks->list.at[i].address != module->bias + symbol.value)
			continue;
		*ret = (uint32_t)(i - first);
		return true;
	}
	return false;
}

static void hook_drop(struct hooks *hooks, size_t i)
{
	code_deinit(&hooks->list.at[i].code);
	memmove(&hooks->list.at[i], &hooks->list.at[i + 1],
		(hooks->list.len - i - 1) * sizeof(hooks->list.at[0]));
	hooks->list.len--;
}

/* Does the allocator count wrong without this function? */
static bool is_needed(const struct function *function)
{
	static const char *const names[] = {"malloc", "calloc", "realloc", "free"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(function->name, names[i]) == 0)
			return true;
	return false;
}

static void hooks_drop(struct hooks *hooks, size_t first)
{
	while (hooks->list.len > first)
		hook_drop(hooks, first);
}

/* Half an allocator would be counted wrong: rather none of it. */
static void hooks_drop_half(struct planning *p, const struct module *module, size_t first)
{
	p->hooks->notes.miss(p->hooks->notes.arg, module, NULL,
			     p->gone ? "its %s can't be read any more: the process ends, or begins another program"
				     : "without its %s the allocator would be counted wrong",
			     p->half);
	for (size_t i = p->hooks->list.len; i-- > first;)
		if (function_is_allocators(p->hooks->list.at[i].function))
			hook_drop(p->hooks, i);
	p->half = NULL;
}

#define CHANGED "its code is not as in the file (changed by another tool?)"

/* 0, or what code_read() says, told and not followed: 1. */
static int hook_read(struct planning *p, struct module *module, struct hook *hook,
		     const struct image_symbol *symbol)
{
	const struct arch *arch = p->arch;
	size_t len = code_size(module, symbol->value, symbol->size);
	int rc = code_read(&hook->code, p->process, module, symbol->value, symbol->thumb, len);
	uint32_t skip;

	if (rc == -EFAULT) { /* the process ends, or has another program */
		p->gone = true;
		return 1;
	}
	if (rc == -ENOMEM)
		return rc;
	if (rc) {
		p->hooks->notes.miss(
			p->hooks->notes.arg, module, hook->function->name,
			len < arch->trap->patch_len
				? "another function begins %zu bytes behind it"
				: "its code of %zu bytes can't be read in its file",
			len);
		return 1;
	}
	skip = arch->trap->patch_offset(hook->code.bytes, hook->code.len);
	hook->stub.function = hook->address + skip;
	hook->stub.skipped = skip;
	hook->stub.must_stay = hook->code.breakpoint;
	if (hook->code.whole >= skip + arch->trap->patch_len || hook->code.whole == hook->code.len)
		return 0;
	p->hooks->notes.miss(p->hooks->notes.arg, module, hook->function->name, CHANGED);
	code_deinit(&hook->code);
	return 1;
}

/* Those whose calls an agent may know, or has to when it is alone. */
static uint32_t number_next(struct hooks *hooks, const struct function *function)
{
	bool asked = function_is_allocators(function) || function->call == CALL_LOADER;

	return asked && hooks->numbers + 1 < hooks->numbers_end
		       ? ++hooks->numbers
		       : 0;
}

static int hook_add(struct planning *p, struct module *module, const struct function *function,
		    const struct image_symbol *named, struct err *err)
{
	struct hook hook = {.function = function, .instance = module->instance};
	struct image_symbol followed = *named;
	const struct image_symbol *symbol = &followed;
	int rc;

	code_follow(p->arch, module, &followed);
	hook.address = module->bias + symbol->value;
	hook.frame = frame_of(module->instance, named->value) | FRAME_EXACT;
	hook.stub.thumb = symbol->thumb;
	hook.stub.kind = function->kind;
	hook.place = place_of_address(p->process->maps, hook.address);
	if (hooked_before(p->hooks, hook.address))
		return 0;
	rc = hook_read(p, module, &hook, symbol);
	if (rc == 1 && is_needed(function))
		p->half = function->name;
	if (rc == 0)
		hook.stub.number = number_next(p->hooks, function);
	if (rc == 0 && vec_push(&p->hooks->list, hook))
		return 0;
	code_deinit(&hook.code);
	return rc == 1 ? 0 : err_set(err, -ENOMEM, "memory is short");
}

struct finding_functions {
	struct planning *p;
	struct module *module;
	struct err *err;
};

static int function_found(void *arg, const struct function *function,
			  const struct image_symbol *symbol)
{
	struct finding_functions *f = arg;

	return hook_add(f->p, f->module, function, symbol, f->err);
}

static void function_missed(void *arg, const char *function, const char *reason)
{
	const struct finding_functions *f = arg;

	f->p->hooks->notes.miss(f->p->hooks->notes.arg, f->module, function, "%s", reason);
}

static int functions_find(struct planning *p, struct module *module, bool loader,
			  struct err *err)
{
	struct finding_functions f = {p, module, err};
	struct entries entries = entries_of(p, module);
	size_t first = p->hooks->list.len;
	int rc;

	p->half = NULL;
	p->gone = false;
	entries.miss = function_missed;
	entries.arg = &f;
	rc = choice_for_each(&entries, loader, function_found, &f);
	if (!rc && p->half)
		hooks_drop_half(p, module, first);
	return rc;
}

/* ---- stubs ------------------------------------------------------------- */

/* What the stubs would cover is nobody's as long as it is as in the file; -ENOSPC: it is not.
 */
static int area_accept(struct planning *p, const struct module *host, const struct space *space,
		       struct hook_area *ret, struct err *err)
{
	uint32_t len = ret->area.len;
	uint8_t *there = malloc(len);
	int rc;

	ret->old = calloc(1, len);
	ret->place = place_of_address(p->process->maps, space->base);
	if (!there || !ret->old)
		rc = err_set(err, -ENOMEM, "memory is short");
	else if (!host)
		rc = 0; /* a page of zeros */
	else if (padding_original(host, space, ret->old, len) ||
		 target_read(&p->process->tracee->target, space->base, there, len) ||
		 memcmp(there, ret->old, len))
		rc = err_set(err, -ENOSPC, "no room for stubs near it");
	else
		rc = 0;
	free(there);
	return rc;
}

static int hook_is_whole(const struct hook *hook, size_t *failed, size_t index, struct err *err)
{
	if (hook->code.whole >= hook->stub.skipped + hook->stub.displaced.original_len)
		return 0;
	*failed = index;
	return err_set(err, -ENOTSUP, CHANGED);
}

/* Space in a host, or, where that is NULL, in a page of our own. */
static int space_for(struct planning *p, const struct module *module, const struct module *host,
		     struct space *ret, struct err *err)
{
	if (!host)
		return page_find(p->hooks, module, ret, err);
	if (free_space_behind(p->hooks, host, ret))
		return 0;
	return err_set(err, -ENOSPC, "no room for stubs near it");
}

/* Builds the stubs of hooks [first, list.len) in one host (NULL: a page).  -ENOSPC, -ERANGE:
 * try another; -ENOTSUP: *failed can't be hooked. */
static int area_build(struct planning *p, struct module *module, const struct module *host,
		      size_t first, size_t *failed, struct hook_area *ret, struct err *err)
{
	size_t count = p->hooks->list.len - first;
	struct hook *hooks = p->hooks->list.at + first;
	struct stub stubs[64];
	const uint8_t *code[64];
	size_t code_len[64];
	struct space space;
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (count > ARRAY_SIZE(stubs))
		return err_set(err, -ENOSPC, "it has too many allocation functions");
	rc = space_for(p, module, host, &space, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < count; i++) {
		const struct function *function = hooks[i].function;

		*failed = i;
		stubs[i] = hooks[i].stub;
		stubs[i].swap = function->swap;
		stubs[i].on_stack = function_has_many_arguments(function);
		stubs[i].nothing_for_0 = function->call == CALL_FREE;
		if (function->instead &&
		    !hook_named(p, module, first, function->instead, &stubs[i].instead))
			return err_set(err, -ENOTSUP, "its %s is not followed",
				       function->instead);
		code[i] = hooks[i].code.bytes + stubs[i].skipped;
		code_len[i] = hooks[i].code.len - stubs[i].skipped;
	}
	ret->host = space.host;
	ret->used = true;
	ret->area.base = space.base;
	ret->area.room = space.len;
	rc = p->hooks->payload.build(p->hooks->payload.arg, &ret->area, stubs, count, code,
				     code_len, failed, err);
	if (rc)
		return rc;
	rc = area_accept(p, host, &space, ret, err);
	for (size_t i = 0; !rc && i < count; i++) {
		hooks[i].stub = stubs[i];
		hooks[i].area = (uint32_t)p->hooks->areas.len;
		rc = hook_is_whole(&hooks[i], failed, i, err);
	}
	return rc;
}

/* Hosts in order: the module itself, then modules that are never unmapped, then a page.  Where
 * all are too far (-ENOSPC, -ERANGE), *failed is what is so from the first; SIZE_MAX: nothing. */
static int area_find(struct planning *p, struct module *module, size_t first, size_t *failed,
		     struct hook_area *ret, struct err *err)
{
	int rc = area_build(p, module, module, first, failed, ret, err);
	size_t too_far = rc == -ERANGE ? *failed : SIZE_MAX;

	for (size_t i = 0;
	     i < p->process->modules->mapped.len && (rc == -ENOSPC || rc == -ERANGE); i++) {
		struct module *host = p->process->modules->mapped.at[i];
		bool stays = (i == 0 || host->instance == p->hooks->loader) &&
			     entries_are_of(host, p->arch);

		free(ret->old);
		ret->old = NULL;
		if (stays && host != module)
			rc = area_build(p, module, host, first, failed, ret, err);
	}
	if (rc == -ENOSPC || rc == -ERANGE) {
		free(ret->old);
		ret->old = NULL;
		rc = area_build(p, module, NULL, first, failed, ret, err);
	}
	if (rc == -ENOSPC || rc == -ERANGE)
		*failed = too_far;
	return rc;
}

/* Where space is scarce, what nothing is counted by goes first. */
static bool ptrace_drop(struct planning *p, size_t first)
{
	for (size_t i = first; i < p->hooks->list.len; i++) {
		enum call_kind call = p->hooks->list.at[i].function->call;

		if (call != CALL_PTRACE && call != CALL_JIT)
			continue;
		hook_drop(p->hooks, i);
		return true;
	}
	return false;
}

/* .. and sigaction() where it alone is too far from the module's own padding (a jal of RISC-V's
 * reaches a megabyte): the trap's signal is not changed before the program catches it, then. */
static bool sigaction_drop(struct planning *p, const struct module *module, size_t failed)
{
	const struct hook *hook = &p->hooks->list.at[failed];

	if (failed >= p->hooks->list.len || hook->function->call != CALL_SIGACTION)
		return false;
	p->hooks->notes.miss(p->hooks->notes.arg, module, hook->function->name,
			     "no room for its stub is in reach");
	hook_drop(p->hooks, failed);
	return true;
}

/* Stubs for the module's new hooks; those that can't be displaced are dropped. */
static int module_build(struct planning *p, struct module *module, size_t first,
			struct err *err)
{
	while (p->hooks->list.len > first) {
		struct hook_area area;
		size_t failed = 0;
		int rc = area_find(p, module, first, &failed, &area, err);

		if (rc == 0)
			rc = ways_check(p->process->tracee, module, p->hooks->list.at + first,
					p->hooks->list.len - first, &failed, err);
		if (rc == 0) {
			if (vec_push(&p->hooks->areas, area))
				return 0;
			rc = err_set(err, -ENOMEM, "memory is short");
		}
		free(area.old);
		if (rc == -ENOTSUP) {
			p->hooks->notes.miss(p->hooks->notes.arg, module,
					     p->hooks->list.at[first + failed].function->name,
					     "%s", err->text);
			if (is_needed(p->hooks->list.at[first + failed].function))
				p->half = p->hooks->list.at[first + failed].function->name;
			hook_drop(p->hooks, first + failed);
			if (p->half)
				hooks_drop_half(p, module, first);
			continue;
		}
		if (rc != -ENOSPC && rc != -ERANGE)
			return rc;
		if (failed != SIZE_MAX && sigaction_drop(p, module, first + failed))
			continue;
		if (ptrace_drop(p, first))
			continue;
		p->hooks->notes.miss(p->hooks->notes.arg, module, NULL, "%s", err->text);
		hooks_drop(p->hooks, first);
	}
	return 0;
}

/* ---- the loader -------------------------------------------------------- */

static bool is_r_debug(void *arg, const struct image_symbol *symbol)
{
	if (strcmp(symbol->name, "_r_debug"))
		return false;
	*(uint64_t *)arg = symbol->value;
	return true;
}

static void loader_find(struct planning *p)
{
	struct module *loader = modules_by_instance(p->process->modules, p->hooks->loader);
	uint64_t r_debug = 0;

	if (!loader || !entries_are_of(loader, p->arch) || p->hooks->loader_state)
		return;
	image_for_each_symbol(loader->image, is_r_debug, &r_debug);
	/* struct r_debug { int version; ptr map; ptr brk; int state; ... }: <link.h> */
	if (r_debug)
		p->hooks->loader_state = loader->bias + r_debug + 3u * p->arch->word_size;
}

static int module_plan(struct planning *p, struct module *module, enum hook_scope scope,
		       struct err *err)
{
	struct entries entries = entries_of(p, module);
	size_t first = p->hooks->list.len;
	int rc = 0;

	if (module->instance == p->hooks->loader)
		rc = functions_find(p, module, true, err);
	if (!rc && entries_may_allocate(&entries, p->hooks->loader) &&
	    !seen_before(p->hooks, module->instance)) {
		/* A dynamic program's own modules are complete only after loading. */
		if (scope == HOOK_ALL || module->instance == p->hooks->loader ||
		    !p->hooks->loader) {
			rc = functions_find(p, module, false, err);
			if (!rc && !vec_push(&p->hooks->seen, module->instance))
				rc = err_set(err, -ENOMEM, "memory is short");
		}
	}
	return rc ? rc : module_build(p, module, first, err);
}

int hooks_plan(struct hooks *hooks, enum hook_scope scope, size_t *planned, struct err *err)
{
	const struct modules *modules = hooks->process.modules;
	struct planning p = {hooks, &hooks->process, hooks->process.tracee->arch, NULL, false};

	loader_find(&p);
	for (size_t i = 0; i < modules->mapped.len; i++) {
		int rc = module_plan(&p, modules->mapped.at[i], scope, err);
		if (rc)
			return rc;
	}
	*planned = 0;
	hooks->allocators = false;
	for (size_t i = 0; i < hooks->list.len; i++) {
		*planned += !hooks->list.at[i].applied;
		hooks->allocators |= function_is_allocators(hooks->list.at[i].function);
	}
	return 0;
}
