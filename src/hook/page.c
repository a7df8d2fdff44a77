/* Places for pages of our own; see page.h. */
#include "hook/page.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hook/entries.h"
#include "hook/free_space.h"
#include "tracer/pages.h"

enum {
	GAP = 64 * 1024,
	USUAL_LOWEST = 64 * 1024,
	ALIGN = 16,
	LEAST_PLACE = 64, /* what code may be small enough for */
	MAKE_TRIES = 100,
	FAR_REACH = 1 << 30, /* of a far patch, as near as there is a hole */
};

static uint32_t page_size(void)
{
	return (uint32_t)sysconf(_SC_PAGESIZE);
}

/* Where mapping begins to be allowed. */
static taddr_t lowest(void)
{
	FILE *file = fopen("/proc/sys/vm/mmap_min_addr", "re");
	taddr_t value = USUAL_LOWEST;
	char line[32], *end;

	if (file && fgets(line, sizeof(line), file)) {
		value = strtoull(line, &end, 10);
		value = end == line ? USUAL_LOWEST : value;
	}
	if (file)
		fclose(file);
	return value;
}

/* What is left above a heap, which grows. */
static taddr_t heap_gap(const struct arch *arch)
{
	return arch->word_size == 8 ? (taddr_t)1 << 36 : 1 << 24;
}

/* What a predecessor was killed over, between the call that mapped it and its header? */
static bool is_begun(const struct mapping *mapping, taddr_t at, uint32_t len)
{
	return mapping->begin == at && mapping->end == at + len && !*mapping->path &&
	       mapping->exec && !mapping->write && !mapping->shared;
}

/* Below all that is mapped: nothing there grows down. */
static taddr_t hole_at_bottom(taddr_t top, uint32_t len)
{
	const taddr_t least = lowest();
	taddr_t need = GAP + len;

	if (top < least + need)
		need = page_size() + len;
	return top < least + need ? 0 : (top - need) & ~(taddr_t)(page_size() - 1);
}

/* The highest hole below `top` with a gap on both sides; 0: none. */
static taddr_t hole_below(const struct arch *arch, const struct maps *maps, taddr_t top,
			  uint32_t len)
{
	for (size_t i = maps->list.len; i; i--) {
		const struct mapping *below = &maps->list.at[i - 1];
		taddr_t at = hole_at_bottom(top, len);

		if (below->begin >= top)
			continue;
		if (!at || is_begun(below, at, len))
			return at;
		if (at + GAP + len > top)
			return 0;
		if (!strcmp(below->path, "[heap]"))
			return below->end + heap_gap(arch) <= at ? at : 0;
		if (below->end + GAP <= at)
			return at;
		top = below->begin;
	}
	return hole_at_bottom(top, len);
}

/* Between a program's data and its heap, which begins at random behind it and grows away from
 * there; 0: no room. */
static taddr_t hole_before_heap(const struct maps *maps, taddr_t begin, uint32_t len)
{
	for (size_t i = 1; i < maps->list.len; i++) {
		const struct mapping *heap = &maps->list.at[i], *data = heap - 1;
		taddr_t at = data->end + page_size();
		bool begun = is_begun(data, data->begin, len);

		if (heap->begin > begin && !strcmp(heap->path, "[heap]"))
			return begun				       ? data->begin
			       : at + len + page_size() <= heap->begin ? at
								       : 0;
	}
	return 0;
}

static taddr_t hole_near(const struct arch *arch, const struct maps *maps,
			 const struct module *module, uint32_t len)
{
	taddr_t below = hole_below(arch, maps, module->begin, len);

	return below ? below : hole_before_heap(maps, module->begin, len);
}

/* ---- the place of the code --------------------------------------------- */

bool page_vdso_place(const struct module *module, struct space *ret)
{
	const uint32_t len = UNDO_PLACE_BYTES;

	*ret = (struct space){module->end - len, len, HOST_PAGE};
	return module->vdso && module->mapped && ret->base % ALIGN == 0;
}

/* Behind the vdso's code its page is zeros, private like that of any other module. */
static bool place_in_vdso(struct tracee *tracee, const struct module *module,
			  struct undo_place *ret)
{
	uint8_t zeros[sizeof(ret->old)] = {0};
	struct space space;

	if (!page_vdso_place(module, &space))
		return false;
	ret->base = space.base;
	ret->room = space.len;
	return !target_read(&tracee->target, ret->base, ret->old, sizeof(ret->old)) &&
	       !memcmp(ret->old, zeros, sizeof(zeros));
}

/* At the end of the padding: new stubs go to its beginning. */
static bool place_in_padding(struct hooks *hooks, const struct module *module,
			     struct undo_place *ret)
{
	struct space space;

	if (!entries_are_of(module, hooks->process.tracee->arch) ||
	    !free_space_behind(hooks, module, &space) || space.len < LEAST_PLACE)
		return false;
	ret->room = space.len < sizeof(ret->old) ? space.len : sizeof(ret->old);
	space.base += (space.len - ret->room) & ~(uint32_t)(ALIGN - 1);
	ret->base = space.base;
	return padding_original(module, &space, ret->old, ret->room) == 0;
}

/* Behind the program's text; and where its libraries are, if there are any: behind the
 * loader's, or in the vdso. */
bool page_places_find(struct hooks *hooks, struct undo_places *ret)
{
	const struct modules *modules = hooks->process.modules;
	bool found[2] = {false};

	for (size_t i = 0; i < modules->mapped.len; i++) {
		const struct module *module = modules->mapped.at[i];
		bool loader = module->instance == hooks->loader;

		if (i == 0 || loader)
			found[loader] = place_in_padding(hooks, module, &ret->at[loader]);
	}
	for (size_t i = 0; i < modules->mapped.len && !found[1]; i++)
		found[1] = place_in_vdso(hooks->process.tracee, modules->mapped.at[i],
					 &ret->at[1]);
	for (size_t i = 0; i < ARRAY_SIZE(found); i++)
		if (!found[i])
			ret->at[i].base = 0;
	return found[0] || found[1];
}

/* ---- planning ---------------------------------------------------------- */

static bool is_in_reach(const struct arch *arch, const struct module *module, taddr_t base,
			uint32_t len)
{
	taddr_t lowest = base < module->begin ? base : module->begin;
	taddr_t highest = base + len > module->end ? base + len : module->end;

	return highest - lowest < (arch->trap->far_patch_len ? FAR_REACH : arch->trap->patch_reach);
}

static bool space_in(struct hooks *hooks, const struct hook_page *page, struct space *ret)
{
	*ret = (struct space){page->base + PAGE_HEAD, page->len - PAGE_HEAD, HOST_PAGE};
	return free_space_in(hooks, ret);
}

static struct hook_page *page_in_reach(struct hooks *hooks, const struct module *module)
{
	for (size_t i = 0; i < hooks->pages.len; i++) {
		struct hook_page *page = &hooks->pages.at[i];

		if (is_in_reach(hooks->process.tracee->arch, module, page->base, page->len))
			return page;
	}
	return NULL;
}

int page_find(struct hooks *hooks, const struct module *module, struct space *ret,
	      struct err *err)
{
	struct hook_page page = {.len = page_size()}, *there = page_in_reach(hooks, module);

	if (there && space_in(hooks, there, ret))
		return 0;
	if (!hooks->process.tracee->arch->trap->remote_build)
		return err_set(err, -ENOSPC, "no room for stubs near it");
	page.base =
		hole_near(hooks->process.tracee->arch, hooks->process.maps, module, page.len);
	if (there || !page.base ||
	    !is_in_reach(hooks->process.tracee->arch, module, page.base, page.len))
		return err_set(err, -ENOSPC,
			       "no room for stubs near it, nor a hole for a page");
	if (!page_places_find(hooks, &page.places))
		return err_set(err, -ENOSPC,
			       "no room for stubs near it, nor for the code that would map a "
			       "page for them");
	if (!vec_push(&hooks->pages, page))
		return err_set(err, -ENOMEM, "memory is short");
	return space_in(hooks, &page, ret) ? 0 : -ENOSPC;
}

/* ---- making ------------------------------------------------------------ */

static bool is_in(const struct hooks *hooks, const struct hook *hook,
		  const struct hook_page *page)
{
	return hooks->areas.at[hook->area].area.base - page->base < page->len;
}

/* What was to be in the page. */
static void hooks_drop_page(struct hooks *hooks, const struct hook_page *page,
			    const struct err *why)
{
	uint32_t told = HOST_PAGE;
	size_t kept = 0;

	hooks->allocators = false;
	for (size_t i = 0; i < hooks->list.len; i++) {
		struct hook *hook = &hooks->list.at[i];

		if (!is_in(hooks, hook, page)) {
			hooks->allocators |= function_is_allocators(hook->function);
			hooks->list.at[kept++] = *hook;
			continue;
		}
		if (hook->instance != told)
			hooks->notes.miss(
				hooks->notes.arg,
				modules_by_instance(hooks->process.modules, hook->instance),
				NULL, "no room for stubs near it, and %s", why->text);
		told = hook->instance;
		hooks->areas.at[hook->area].used = false;
		code_deinit(&hook->code);
	}
	hooks->list.len = kept;
}

/* All threads are where none can make the call: that may change. */
static bool is_for_now(int rc)
{
	return rc == -EAGAIN || rc == -ERANGE;
}

static bool is_needed(const struct hooks *hooks, const struct hook_page *page)
{
	for (size_t i = 0; i < hooks->list.len; i++)
		if (!hooks->list.at[i].applied && is_in(hooks, &hooks->list.at[i], page))
			return true;
	return false;
}

int pages_make(struct hooks *hooks, struct err *err)
{
	for (size_t i = 0; i < hooks->pages.len; i++) {
		struct hook_page *page = &hooks->pages.at[i];
		int rc;

		if (page->made || !is_needed(hooks, page))
			continue;
		rc = pages_map(hooks->process.tracee, hooks->process.undo, &page->places,
			       page->base, page->len, err);
		if (is_for_now(rc) && page->tries++ < MAKE_TRIES)
			return -EAGAIN;
		page->made = !rc;
		if (!rc)
			continue;
		hooks_drop_page(hooks, page, err);
		*page = hooks->pages.at[--hooks->pages.len];
		i--;
	}
	return 0;
}

/* ---- of predecessors --------------------------------------------------- */

static bool is_left(struct tracee *tracee, const struct mapping *mapping)
{
	const struct arch *arch = tracee->arch;
	uint8_t head[PAGE_HEAD];
	uint32_t len;

	if (!mapping->exec || mapping->write || mapping->shared || *mapping->path ||
	    mapping->end - mapping->begin != page_size() ||
	    target_read(&tracee->target, mapping->begin, head, sizeof(head)))
		return false;
	memcpy(&len, head + arch->trap->magic_len, sizeof(len));
	return !memcmp(head, arch->trap->magic, arch->trap->magic_len) && len == PAGE_HEAD;
}

void page_visit(const struct hook_process *process,
		void (*visit)(void *arg, const struct space *space), void *arg)
{
	for (size_t i = 0; i < process->maps->list.len; i++) {
		const struct mapping *mapping = &process->maps->list.at[i];
		struct space space = {mapping->begin + PAGE_HEAD, page_size() - PAGE_HEAD,
				      HOST_PAGE};

		if (is_left(process->tracee, mapping))
			visit(arg, &space);
	}
}

static void adopt(void *arg, const struct space *space)
{
	struct hooks *hooks = arg;
	const struct hook_process *process = &hooks->process;
	struct hook_page page = {space->base - PAGE_HEAD, page_size(), .made = true};

	page_places_find(hooks, &page.places);
	if (pages_adopt(process->tracee, process->undo, &page.places, page.base, page.len))
		vec_push(&hooks->pages, page);
}

void page_adopt(struct hooks *hooks)
{
	page_visit(&hooks->process, adopt, hooks);
}
