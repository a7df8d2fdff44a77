/*
 * Planning hooks: what is where, by the files; nothing is changed.
 *
 * Original code is always what the *file* says: memory may hold the patch of a
 * predecessor that was killed.  Such a patch is known by where it jumps to (an area
 * with our magic) and is simply written over; room that is still in use is passed
 * over (heritage.h wipes it when nobody is inside).  Any other difference between memory and
 * file means that somebody else works there: that function is left alone, with a warning.
 */
#include "capture/plan.h"

#include <errno.h>
#include <string.h>

#include "capture/entries.h"
#include "capture/heritage.h"
#include "capture/room.h"

enum { CODE_MAX = 4096, SHORT_CODE = 16 };

struct planning {
	struct hooks *hooks;
	struct tracee *tracee;
	const struct modules *modules;
	const struct maps *maps;
	const struct hook_notes *notes;
	int signo;
	bool half; /* the free of the module that is looked through is left alone */
};

/* ---- hooks ------------------------------------------------------------- */

static struct entries entries_of(const struct planning *p, struct module *module)
{
	return (struct entries){module, p->tracee->arch, p->hooks->supplies};
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
	for (size_t i = first; i < p->hooks->list.len; i++) {
		if (p->hooks->list.at[i].address != module->bias + symbol.value)
			continue;
		*ret = (uint32_t)(i - first);
		return true;
	}
	return false;
}

struct leftover_search {
	taddr_t addr;
	bool found;
};

static bool leftover_covers(void *arg, taddr_t begin, taddr_t end)
{
	struct leftover_search *search = arg;

	search->found = search->addr >= begin && search->addr < end;
	return search->found;
}

/* Is what stands at the function (a patch's worth) by the file, or a patch of a
 * predecessor?  -EFAULT: nothing stands there: the process ends, or has another program. */
static int code_is_known(struct planning *p, const struct hook *hook)
{
	const struct arch *arch = p->tracee->arch;
	uint32_t skip = arch->patch_offset(hook->code, hook->code_len);
	struct leftover_search search = {0};
	uint8_t there[16];

	if (target_read(&p->tracee->target, hook->address + skip, there, arch->patch_len))
		return -EFAULT;
	if (memcmp(there, hook->code + skip, arch->patch_len) == 0)
		return true;
	search.addr = arch->patch_target(there, (hook->address + skip) | hook->stub.thumb);
	for (size_t i = 0; search.addr && !search.found && i < p->modules->mapped.len; i++) {
		struct slack slack;

		if (slack_of(p->modules->mapped.at[i], p->maps, &slack) &&
		    search.addr - slack.base < slack.room)
			heritage_visit(p->tracee, &slack, leftover_covers, &search);
	}
	return search.found;
}

static void hook_drop(struct hooks *hooks, size_t i)
{
	free(hooks->list.at[i].code);
	memmove(&hooks->list.at[i], &hooks->list.at[i + 1],
		(hooks->list.len - i - 1) * sizeof(hooks->list.at[0]));
	hooks->list.len--;
}

static bool is_name(const struct hook *hook, const char *name)
{
	return strcmp(hook->function->name, name) == 0;
}

static void hooks_drop(struct hooks *hooks, size_t first)
{
	while (hooks->list.len > first)
		hook_drop(hooks, first);
}

/* Half an allocator would be counted wrong: rather none of it. */
static void hooks_drop_half(struct planning *p, const struct module *module, size_t first)
{
	p->notes->miss(p->notes->arg, module, NULL,
		       "without its free the allocator would be counted wrong");
	hooks_drop(p->hooks, first);
}

static int hook_add(struct planning *p, struct module *module, const struct function *function,
		    const struct image_symbol *symbol, struct err *err)
{
	struct hook hook = {.function = function, .instance = module->instance};
	size_t len = symbol->size ? symbol->size : SHORT_CODE;
	uint32_t skip, patch_len = p->tracee->arch->patch_len;
	int known;

	hook.address = module->bias + symbol->value;
	hook.frame = frame_of(module->instance, symbol->value) | FRAME_EXACT;
	hook.stub.thumb = symbol->thumb;
	if (hooked_before(p->hooks, hook.address))
		return 0;
	/* The padding behind a short function may be covered too; a neighbour's code not. */
	if (len < SHORT_CODE)
		len = SHORT_CODE - (symbol->value & (SHORT_CODE - 1));
	if (len > CODE_MAX)
		len = CODE_MAX;
	hook.code = calloc(1, len);
	if (!hook.code)
		return err_set(err, -ENOMEM, "memory is short");
	while (len >= patch_len && image_read(module->image, symbol->value, hook.code, len))
		len /= 2;
	hook.code_len = len;
	known = len < patch_len ? 0 : code_is_known(p, &hook);
	if (known <= 0) {
		if (!known)
			p->notes->miss(p->notes->arg, module, function->name,
				       "its code is not as in the file (changed by another "
				       "tool?)");
		p->half |= !known && !strcmp(function->name, "free");
		free(hook.code);
		return 0;
	}
	skip = p->tracee->arch->patch_offset(hook.code, hook.code_len);
	hook.stub.kind = function->kind;
	hook.stub.function = hook.address + skip;
	hook.stub.skipped = skip;
	if (!vec_push(&p->hooks->list, hook)) {
		free(hook.code);
		return err_set(err, -ENOMEM, "memory is short");
	}
	return 0;
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

static int functions_find(struct planning *p, struct module *module, bool loader,
			  struct err *err)
{
	struct finding_functions f = {p, module, err};
	struct entries entries = entries_of(p, module);
	size_t first = p->hooks->list.len;
	int rc;

	p->half = false;
	rc = entries_for_each(&entries, loader, function_found, &f);
	if (!rc && p->half)
		hooks_drop_half(p, module, first);
	return rc;
}

/* ---- stubs ------------------------------------------------------------- */

/* Builds the stubs of hooks [first, list.len) in one home.  -ENOSPC, -ERANGE: try
 * another; -ENOTSUP: *failed can't be hooked. */
static int area_build(struct planning *p, struct module *module, const struct module *home,
		      size_t first, size_t *failed, struct hook_area *ret, struct err *err)
{
	size_t count = p->hooks->list.len - first;
	struct hook *hooks = p->hooks->list.at + first;
	struct stub stubs[64];
	const uint8_t *code[64];
	size_t code_len[64];
	struct slack slack;
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (count > ARRAY_SIZE(stubs) || !room_find(p->hooks, p->tracee, home, p->maps, &slack))
		return -ENOSPC;
	for (size_t i = 0; i < count; i++) {
		const struct function *function = hooks[i].function;

		*failed = i;
		stubs[i] = hooks[i].stub;
		stubs[i].swap = function->swap;
		if (function->instead &&
		    !hook_named(p, module, first, function->instead, &stubs[i].instead))
			return err_set(err, -ENOTSUP, "its %s is not followed",
				       function->instead);
		code[i] = hooks[i].code + (stubs[i].function - hooks[i].address);
		code_len[i] =
			hooks[i].code_len - (size_t)(stubs[i].function - hooks[i].address);
	}
	ret->home = home->instance;
	ret->area.base = slack.base;
	ret->area.room = slack.room;
	rc = p->tracee->arch->stubs_build(&ret->area, p->signo, stubs, count, code, code_len,
					  failed, err);
	if (rc)
		return rc;
	ret->old = malloc(ret->area.len);
	if (!ret->old)
		return err_set(err, -ENOMEM, "memory is short");
	for (size_t i = 0; i < count; i++) {
		hooks[i].stub = stubs[i];
		hooks[i].area = (uint32_t)p->hooks->areas.len;
	}
	return slack_original(home, &slack, ret->old, ret->area.len);
}

/* Homes in order: the module itself, then modules that are never unmapped. */
static int area_find(struct planning *p, struct module *module, size_t first, size_t *failed,
		     struct hook_area *ret, struct err *err)
{
	int rc = area_build(p, module, module, first, failed, ret, err);

	for (size_t i = 0; i < p->modules->mapped.len && (rc == -ENOSPC || rc == -ERANGE);
	     i++) {
		struct module *home = p->modules->mapped.at[i];
		bool stays = (i == 0 || home->instance == p->hooks->loader) &&
			     entries_are_of(home, p->tracee->arch);

		free(ret->old);
		ret->old = NULL;
		if (stays && home != module)
			rc = area_build(p, module, home, first, failed, ret, err);
	}
	return rc;
}

/* Stubs for the module's new hooks; those that can't be displaced are dropped. */
static int module_build(struct planning *p, struct module *module, size_t first,
			struct err *err)
{
	while (p->hooks->list.len > first) {
		struct hook_area area;
		size_t failed = 0;
		int rc = area_find(p, module, first, &failed, &area, err);

		if (rc == 0) {
			if (vec_push(&p->hooks->areas, area))
				return 0;
			rc = err_set(err, -ENOMEM, "memory is short");
		}
		free(area.old);
		if (rc == -ENOTSUP) {
			p->notes->miss(p->notes->arg, module,
				       p->hooks->list.at[first + failed].function->name, "%s",
				       err->text);
			if (is_name(&p->hooks->list.at[first + failed], "free"))
				hooks_drop_half(p, module, first);
			else
				hook_drop(p->hooks, first + failed);
			continue;
		}
		if (rc != -ENOSPC && rc != -ERANGE)
			return rc;
		p->notes->miss(p->notes->arg, module, NULL, "no room for stubs near it");
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
	struct module *loader = modules_by_instance(p->modules, p->hooks->loader);
	uint64_t r_debug = 0;

	if (!loader || !entries_are_of(loader, p->tracee->arch) || p->hooks->loader_state)
		return;
	image_for_each_symbol(loader->image, is_r_debug, &r_debug);
	/* struct r_debug { int version; ptr map; ptr brk; int state; ... }: <link.h> */
	if (r_debug)
		p->hooks->loader_state =
			loader->bias + r_debug + 3u * p->tracee->arch->word_size;
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

int hooks_plan(struct hooks *hooks, struct tracee *tracee, const struct modules *modules,
	       const struct maps *maps, enum hook_scope scope, const struct hook_notes *notes,
	       size_t *planned, struct err *err)
{
	struct planning p = {hooks, tracee, modules, maps, notes, hooks->signo, false};

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
		hooks->allocators |= hooks->list.at[i].function->call <= CALL_FREE;
	}
	return 0;
}
