/*
 * Which functions are watched, and the table of those that are.
 *
 * The table of names is the whole knowledge of what an allocator offers.  Aliases
 * at one address are one hook, under the first name of the table.
 */
#include "hook/hooks.h"

#include <signal.h>
#include <string.h>

#include "hook/padding.h"
#include "hook/plan.h"

/*
 * operator new of an allocator of its own may throw, and the C++ unwinder must not
 * meet a frame of ours: the allocator's malloc, which is the same but for that, is run
 * instead, and operator new itself only when that failed.  An operator new in a module
 * without malloc (libstdc++) gets its memory from a malloc that is hooked: it needs
 * nothing.  size_t is `m` in mangled names of 64-bit systems, `j` on 32-bit ones.
 */
#define NEW(name, aligned)                                                                     \
	{                                                                                      \
		name, CALL_ALLOC, STUB_INSTEAD, 0, aligned ? "memalign" : "malloc", aligned,   \
			WHO_ALLOCATOR                                                          \
	}
#define DELETE(name)                                                                           \
	{                                                                                      \
		name, CALL_FREE, STUB_ENTRY, 0, NULL, false, WHO_ALLOCATOR                     \
	}

/* clang-format off */
static const struct function functions[] = {
	{"malloc",         CALL_ALLOC,        STUB_RETURN, 0, NULL, false, WHO_ANY},
	{"free",           CALL_FREE,         STUB_ENTRY,  0, NULL, false, WHO_ANY},
	{"calloc",         CALL_CALLOC,       STUB_RETURN, 0, NULL, false, WHO_ANY},
	{"realloc",        CALL_REALLOC,      STUB_BOTH,   0, NULL, false, WHO_ANY},
	{"reallocarray",   CALL_REALLOCARRAY, STUB_BOTH,   0, NULL, false, WHO_OLD},
	{"posix_memalign", CALL_POSIX_ALIGN,  STUB_RETURN, 0, NULL, false, WHO_ALLOCATOR},
	{"aligned_alloc",  CALL_ALLOC,        STUB_RETURN, 1, NULL, false, WHO_ALLOCATOR},
	{"memalign",       CALL_ALLOC,        STUB_RETURN, 1, NULL, false, WHO_OLD},
	{"valloc",         CALL_ALLOC,        STUB_RETURN, 0, NULL, false, WHO_OLD},
	{"pvalloc",        CALL_ALLOC,        STUB_RETURN, 0, NULL, false, WHO_OLD},
	{"cfree",          CALL_FREE,         STUB_ENTRY,  0, NULL, false, WHO_OLD},
	/* C23 7.24.3.4, 7.24.3.5 */
	{"free_sized",         CALL_FREE,     STUB_ENTRY,  0, NULL, false, WHO_OLD},
	{"free_aligned_sized", CALL_FREE,     STUB_ENTRY,  0, NULL, false, WHO_OLD},
	{"sigaction",      CALL_SIGACTION,    STUB_ENTRY,  0, NULL, false, WHO_ANY},
	{"prctl",          CALL_PRCTL,        STUB_ENTRY,  0, NULL, false, WHO_ANY},
	{"seccomp_load",   CALL_SECCOMP,      STUB_ENTRY,  0, NULL, false, WHO_ANY},
	{"ptrace",         CALL_PTRACE,       STUB_ENTRY,  0, NULL, false, WHO_ANY},
	/* jemalloc(3), "Non-standard API" */
	{"mallocx",        CALL_ALLOC,        STUB_RETURN, 0, NULL, false, WHO_JEMALLOC},
	{"rallocx",        CALL_REALLOC,      STUB_BOTH,   0, NULL, false, WHO_JEMALLOC},
	{"dallocx",        CALL_FREE,         STUB_ENTRY,  0, NULL, false, WHO_JEMALLOC},
	{"sdallocx",       CALL_FREE,         STUB_ENTRY,  0, NULL, false, WHO_JEMALLOC},
	NEW("_Znwm", false), NEW("_Znam", false), NEW("_Znwj", false), NEW("_Znaj", false),
	NEW("_ZnwmRKSt9nothrow_t", false), NEW("_ZnamRKSt9nothrow_t", false),
	NEW("_ZnwjRKSt9nothrow_t", false), NEW("_ZnajRKSt9nothrow_t", false),
	NEW("_ZnwmSt11align_val_t", true), NEW("_ZnamSt11align_val_t", true),
	NEW("_ZnwjSt11align_val_t", true), NEW("_ZnajSt11align_val_t", true),
	NEW("_ZnwmSt11align_val_tRKSt9nothrow_t", true),
	NEW("_ZnamSt11align_val_tRKSt9nothrow_t", true),
	NEW("_ZnwjSt11align_val_tRKSt9nothrow_t", true),
	NEW("_ZnajSt11align_val_tRKSt9nothrow_t", true),
	DELETE("_ZdlPv"), DELETE("_ZdaPv"), DELETE("_ZdlPvm"), DELETE("_ZdaPvm"),
	DELETE("_ZdlPvj"), DELETE("_ZdaPvj"),
	DELETE("_ZdlPvRKSt9nothrow_t"), DELETE("_ZdaPvRKSt9nothrow_t"),
	DELETE("_ZdlPvSt11align_val_t"), DELETE("_ZdaPvSt11align_val_t"),
	DELETE("_ZdlPvmSt11align_val_t"), DELETE("_ZdaPvmSt11align_val_t"),
	DELETE("_ZdlPvjSt11align_val_t"), DELETE("_ZdaPvjSt11align_val_t"),
	DELETE("_ZdlPvSt11align_val_tRKSt9nothrow_t"),
	DELETE("_ZdaPvSt11align_val_tRKSt9nothrow_t"),
};
/* clang-format on */

static const struct function loader_function = {
	.name = "_dl_debug_state", .call = CALL_LOADER, .kind = STUB_ENTRY};

const struct function *hooks_functions(bool loader, size_t *count)
{
	*count = loader ? 1 : ARRAY_SIZE(functions);
	return loader ? &loader_function : functions;
}

static void hook_deinit(struct hook *hook)
{
	code_deinit(&hook->code);
}

static void area_deinit(struct hook_area *area)
{
	free(area->old);
	area->old = NULL;
}

void hooks_clear(struct hooks *hooks)
{
	for (size_t i = 0; i < hooks->list.len; i++)
		hook_deinit(&hooks->list.at[i]);
	for (size_t i = 0; i < hooks->areas.len; i++)
		area_deinit(&hooks->areas.at[i]);
	vec_clear(&hooks->list);
	vec_clear(&hooks->areas);
	vec_clear(&hooks->pages);
	vec_clear(&hooks->seen);
	hooks->loader = 0;
	hooks->loader_state = 0;
	hooks->allocators = false;
	hooks->hard = false;
}

void hooks_deinit(struct hooks *hooks)
{
	hooks_clear(hooks);
	vec_deinit(&hooks->list);
	vec_deinit(&hooks->areas);
	vec_deinit(&hooks->pages);
	vec_deinit(&hooks->seen);
}

static void seen_forget(struct hooks *hooks, uint32_t instance)
{
	size_t kept = 0;

	for (size_t i = 0; i < hooks->seen.len; i++)
		if (hooks->seen.at[i] != instance)
			hooks->seen.at[kept++] = hooks->seen.at[i];
	hooks->seen.len = kept;
}

/* (Areas that were written stay in use: a thread may have been moved there.) */
void hooks_unplan(struct hooks *hooks)
{
	size_t kept = 0;

	for (size_t i = 0; i < hooks->list.len; i++) {
		struct hook *hook = &hooks->list.at[i];

		if (hook->applied) {
			hooks->list.at[kept++] = *hook;
			continue;
		}
		seen_forget(hooks, hook->instance);
		hook_deinit(hook);
	}
	hooks->list.len = kept;
	kept = 0;
	for (size_t i = 0; i < hooks->pages.len; i++)
		if (hooks->pages.at[i].made)
			hooks->pages.at[kept++] = hooks->pages.at[i];
	hooks->pages.len = kept;
	for (; hooks->areas.len; hooks->areas.len--) {
		struct hook_area *area = &hooks->areas.at[hooks->areas.len - 1];

		if (area->applied || !area->area.trap_pc)
			return;
		area_deinit(area);
	}
}

static bool is_mapped(const struct modules *modules, uint32_t instance)
{
	const struct module *module = modules_by_instance(modules, instance);
	return module && module->mapped;
}

void hooks_forget_unmapped(struct hooks *hooks, struct undo *undo,
			   const struct modules *modules)
{
	size_t kept = 0;

	for (size_t i = 0; i < hooks->list.len; i++) {
		struct hook *hook = &hooks->list.at[i];

		if (is_mapped(modules, hook->instance)) {
			hooks->list.at[kept++] = *hook;
			continue;
		}
		undo_forget(undo, stub_patch_at(&hook->stub), stub_patch_at(&hook->stub) + 1);
		hook_deinit(hook);
	}
	hooks->list.len = kept;
	for (size_t i = 0; i < hooks->areas.len;
	     i++) { /* indexes stay: an area is only emptied */
		struct hook_area *area = &hooks->areas.at[i];

		if (!area->applied || area->home == HOME_PAGE || is_mapped(modules, area->home))
			continue;
		undo_forget(undo, area->area.base, area->area.base + 1);
		area->applied = false;
		area->area.trap_pc = area->area.hard_pc = 0;
	}
	kept = 0;
	for (size_t i = 0; i < hooks->seen.len; i++)
		if (is_mapped(modules, hooks->seen.at[i]))
			hooks->seen.at[kept++] = hooks->seen.at[i];
	hooks->seen.len = kept;
}

int hooks_trap_signal(const struct hooks *hooks, taddr_t pc)
{
	for (size_t i = 0; i < hooks->areas.len; i++) {
		const struct hook_area *area = &hooks->areas.at[i];

		if (area->applied && area->area.trap_pc == pc)
			return hooks->signo;
		if (area->applied && area->area.hard_pc == pc && pc)
			return SIGTRAP;
	}
	return 0;
}

taddr_t hooks_trap_open(const struct hooks *hooks, taddr_t pc)
{
	for (size_t i = 0; i < hooks->areas.len; i++) {
		const struct hook_area *area = &hooks->areas.at[i];

		if (area->applied && pc >= area->area.trap_open && pc < area->area.trap_pc)
			return area->area.trap_pc;
	}
	return 0;
}

const struct hook *hooks_by_site(const struct hooks *hooks, taddr_t site, bool *entry)
{
	for (size_t i = 0; i < hooks->list.len; i++) {
		const struct stub *stub = &hooks->list.at[i].stub;

		if (site != stub->trap_entry && site != stub->trap_return)
			continue;
		*entry = site == stub->trap_entry;
		return &hooks->list.at[i];
	}
	return NULL;
}

const struct hook *hooks_by_patch(const struct hooks *hooks, taddr_t addr)
{
	for (size_t i = 0; i < hooks->list.len; i++)
		if (hooks->list.at[i].applied && stub_patch_at(&hooks->list.at[i].stub) == addr)
			return &hooks->list.at[i];
	return NULL;
}

const struct stub_area *hooks_area_at(const struct hooks *hooks, taddr_t pc)
{
	for (size_t i = 0; i < hooks->areas.len; i++) {
		const struct hook_area *area = &hooks->areas.at[i];

		if (area->applied && pc - area->area.base < area->area.len)
			return &area->area;
	}
	return NULL;
}

/* The stubs lie one behind the other: the one that begins last before pc. */
const struct hook *hooks_by_stub(const struct hooks *hooks, taddr_t pc)
{
	const struct hook *best = NULL;

	for (size_t i = 0; i < hooks->list.len; i++) {
		const struct hook *hook = &hooks->list.at[i];
		const struct stub_area *area = &hooks->areas.at[hook->area].area;

		if (!hook->applied || pc - area->base >= area->len || hook->stub.entry > pc)
			continue;
		if (!best || hook->stub.entry > best->stub.entry)
			best = hook;
	}
	return best;
}
