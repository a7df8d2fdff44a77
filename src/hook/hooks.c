/* The table of what is hooked; see hooks.h. */
#include "hook/hooks.h"

#include "hook/padding.h"

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
	hooks->numbers = 0;
	hooks->loader_state = 0;
	hooks->allocators = false;
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
	hooks->numbers = 0;
	for (size_t i = 0; i < kept; i++)
		if (hooks->list.at[i].stub.number > hooks->numbers)
			hooks->numbers = hooks->list.at[i].stub.number;
	kept = 0;
	for (size_t i = 0; i < hooks->pages.len; i++)
		if (hooks->pages.at[i].made)
			hooks->pages.at[kept++] = hooks->pages.at[i];
	hooks->pages.len = kept;
	for (; hooks->areas.len; hooks->areas.len--) {
		struct hook_area *area = &hooks->areas.at[hooks->areas.len - 1];

		if (area->applied || !area->used)
			return;
		area_deinit(area);
	}
}

static bool is_mapped(const struct modules *modules, uint32_t instance)
{
	const struct module *module = modules_by_instance(modules, instance);
	return module && module->mapped;
}

void hooks_forget_unmapped(struct hooks *hooks)
{
	const struct modules *modules = hooks->process.modules;
	struct undo *undo = hooks->process.undo;
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

		if (!area->applied || area->host == HOST_PAGE || is_mapped(modules, area->host))
			continue;
		undo_forget(undo, area->area.base, area->area.base + 1);
		area->applied = area->used = false;
	}
	kept = 0;
	for (size_t i = 0; i < hooks->seen.len; i++)
		if (is_mapped(modules, hooks->seen.at[i]))
			hooks->seen.at[kept++] = hooks->seen.at[i];
	hooks->seen.len = kept;
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
