/*
 * The estate, field by field, from the engine's tables or into them; see estate.h.
 *
 *    undo log | hooks, their areas and pages | modules | times, totals, ages | contexts
 *
 * A struct that has no pointer is written as it is: who reads is the same build.  But the program may
 * have written it: whatever leads to memory of ours, or to another process, is held against what there is.
 */
#include "capture/estate.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "tracer/inject_left.h"
#include "tracer/status.h"

enum { MOST_HOOKS = 1 << 16, MOST_MODULES = FRAME_INSTANCES };

struct estate {
	uint8_t *at, *end;
	bool reads, bad;
	struct engine *engine;
};

static void raw(struct estate *e, void *data, size_t len)
{
	e->bad |= len > (size_t)(e->end - e->at);
	if (e->bad)
		return;
	if (len)
		memcpy(e->reads ? data : e->at, e->reads ? e->at : data, len);
	e->at += len;
}

/* How many items follow. */
static size_t counted(struct estate *e, size_t len, size_t most)
{
	uint64_t count = len;

	raw(e, &count, sizeof(count));
	e->bad |= count > most;
	return e->bad ? 0 : (size_t)count;
}

/* ---- hooks ------------------------------------------------------------------ */

static bool places_are_sound(const struct undo_places *places)
{
	return places->at[0].room <= UNDO_PLACE_BYTES && places->at[1].room <= UNDO_PLACE_BYTES;
}

/* A log is carried out in the process' children, too, which are known by the patches: so these must be what
 * they are there, jumps into areas, which begin as ours do. */
static bool leads_to_area(const struct arch *arch, const struct undo *undo,
			  const struct undo_patch *patch, taddr_t state)
{
	bool whole = patch->len == arch_patch_len(arch->trap, patch->now);
	taddr_t to = whole ? arch->trap->patch_target(patch->now, patch->addr | state) : 0;

	for (uint32_t i = 0; to && i < undo->area_count; i++)
		if (undo->area[i].active && to - undo->area[i].base < undo->area[i].len)
			return true;
	return false;
}

/* (The log does not say in which instruction set: T32's is to be asked for, too.) */
static bool patch_is_sound(const struct arch *arch, const struct undo *undo,
			   const struct undo_patch *patch)
{
	return leads_to_area(arch, undo, patch, 0) ||
	       (arch->state_mask && leads_to_area(arch, undo, patch, arch->state_mask));
}

static bool begins_as_ours(const struct arch_trap *trap, const struct undo_area *area)
{
	return area->head_len == sizeof(area->head) && trap->magic_len <= sizeof(area->head) &&
	       !memcmp(area->head, trap->magic, trap->magic_len);
}

static bool undo_is_sound(const struct arch *arch, const struct undo *undo)
{
	bool sound = undo->patch_count <= UNDO_PATCHES && undo->area_count <= UNDO_AREAS &&
		     places_are_sound(&undo->agent.places);

	for (uint32_t i = 0; sound && i < undo->patch_count; i++)
		sound = undo->patch[i].len <= sizeof(undo->patch[i].old) &&
			(!undo->patch[i].active || patch_is_sound(arch, undo, &undo->patch[i]));
	for (uint32_t i = 0; sound && i < undo->area_count; i++)
		sound = undo->area[i].len <= UNDO_AREA_BYTES &&
			undo->area[i].disarm_len <= sizeof(undo->area[i].disarm) &&
			undo->area[i].head_len <= sizeof(undo->area[i].head) &&
			(!undo->area[i].active || begins_as_ours(arch->trap, &undo->area[i]));
	for (uint32_t i = 0; sound && i < UNDO_PAGES; i++)
		sound = places_are_sound(&undo->page[i].places);
	return sound;
}

/* A function by its place in the two tables (functions.h). */
static const struct function *function_at(uint32_t number)
{
	size_t count, loaders;
	const struct function *table = functions_table(false, &count);
	const struct function *loader = functions_table(true, &loaders);

	return number < count		  ? &table[number]
	       : number - count < loaders ? &loader[number - count]
					  : NULL;
}

static uint32_t function_number(const struct function *function)
{
	uint32_t number = 0;

	while (function_at(number) && function_at(number) != function)
		number++;
	return number;
}

static void one_hook(struct estate *e, struct hook *hook)
{
	uint32_t function = e->reads ? 0 : function_number(hook->function);
	const struct displaced *displaced = &hook->stub.displaced;

	raw(e, &function, sizeof(function));
	raw(e, &hook->instance, sizeof(hook->instance));
	raw(e, &hook->frame, sizeof(hook->frame));
	raw(e, &hook->address, sizeof(hook->address));
	raw(e, &hook->stub, sizeof(hook->stub));
	raw(e, &hook->area, sizeof(hook->area));
	hook->function = function_at(function);
	hook->applied = true;
	e->bad |= !hook->function || displaced->count > ARCH_MAX_DISPLACED ||
		  displaced->copy_len > sizeof(displaced->copy) ||
		  displaced->original_len > ARCH_MAX_DISPLACED;
}

enum { LOOKED_AT = 8 }; /* so many bytes at most from a place on */

static bool has_place(const struct stub_area *area, taddr_t at)
{
	return area->len >= LOOKED_AT && at - area->base <= area->len - LOOKED_AT;
}

/* Its code is written, and looked at, by where it says that the trap is. */
static bool area_is_sound(const struct arch_trap *trap, const struct stub_area *area)
{
	return area->len <= sizeof(area->bytes) && area->len <= area->room &&
	       has_place(area, area->trap.begin) &&
	       (!trap->use_break ||
		(has_place(area, area->trap.to_break) && has_place(area, area->trap.hard)));
}

/* ... and that of a stub from its entry to its copy's end. */
static bool stub_is_within(const struct stub *stub, const struct stub_area *area)
{
	taddr_t entry = stub->entry - area->base, copy = stub->copy - area->base;

	return entry <= copy && copy <= area->len && stub->displaced.copy_len <= area->len - copy;
}

static void one_area(struct estate *e, struct hook_area *area)
{
	raw(e, &area->area, sizeof(area->area));
	raw(e, &area->host, sizeof(area->host));
	raw(e, &area->used, sizeof(area->used));
	raw(e, &area->applied, sizeof(area->applied));
	if (e->reads && !area->applied) /* nobody is there any more; its index stays */
		*area = (struct hook_area){.used = false};
	else if (e->reads)
		e->bad |= !area_is_sound(e->engine->tracee.arch->trap, &area->area);
}

static void hook_list(struct estate *e, struct hooks *hooks)
{
	size_t count = counted(e, hooks->list.len, MOST_HOOKS);

	for (size_t i = 0; i < count && !e->bad; i++) {
		struct hook hook = e->reads ? (struct hook){0} : hooks->list.at[i];

		one_hook(e, &hook);
		e->bad |= e->reads && !vec_push(&hooks->list, hook);
	}
	count = counted(e, hooks->areas.len, UNDO_AREAS * 64);
	for (size_t i = 0; i < count && !e->bad; i++) {
		struct hook_area area = e->reads ? (struct hook_area){0} : hooks->areas.at[i];

		one_area(e, &area);
		e->bad |= e->reads && !vec_push(&hooks->areas, area);
	}
	for (size_t i = 0; e->reads && i < hooks->list.len; i++) {
		const struct hook *hook = &hooks->list.at[i];

		e->bad |= hook->area >= hooks->areas.len ||
			  !stub_is_within(&hook->stub, &hooks->areas.at[hook->area].area);
	}
}

static void all_hooks(struct estate *e)
{
	struct hooks *hooks = &e->engine->hooks;
	size_t count;

	hook_list(e, hooks);
	count = counted(e, hooks->pages.len, UNDO_PAGES * 64);
	for (size_t i = 0; i < count && !e->bad; i++) {
		struct hook_page page = e->reads ? (struct hook_page){0} : hooks->pages.at[i];

		raw(e, &page, sizeof(page));
		e->bad |= !places_are_sound(&page.places) ||
			  (e->reads && !vec_push(&hooks->pages, page));
	}
	count = counted(e, hooks->seen.len, MOST_MODULES);
	for (size_t i = 0; i < count && !e->bad; i++) {
		uint32_t seen = e->reads ? 0 : hooks->seen.at[i];

		raw(e, &seen, sizeof(seen));
		e->bad |= e->reads && !vec_push(&hooks->seen, seen);
	}
	raw(e, &hooks->numbers, sizeof(hooks->numbers));
	raw(e, &hooks->loader_state, sizeof(hooks->loader_state));
	raw(e, &hooks->allocators, sizeof(hooks->allocators));
	e->bad |= hooks->numbers >= SHARED_HOOKS;
}

/* ---- modules ---------------------------------------------------------------- */

static void one_module(struct estate *e, struct module *module, char *path, size_t room)
{
	uint32_t len = module->id.path ? (uint32_t)strlen(module->id.path) : 0;

	raw(e, &module->instance, sizeof(module->instance));
	raw(e, &module->begin, sizeof(module->begin));
	raw(e, &module->end, sizeof(module->end));
	raw(e, &module->bias, sizeof(module->bias));
	raw(e, &module->dev, sizeof(module->dev));
	raw(e, &module->inode, sizeof(module->inode));
	raw(e, &module->vdso, sizeof(module->vdso));
	raw(e, &module->id, sizeof(module->id));
	raw(e, &len, sizeof(len));
	if (e->bad || len >= room || module->id.build_id_len > MODULE_ID_BUILD_ID ||
	    module->id.fingerprint_len > MODULE_ID_FINGERPRINT) {
		e->bad = true;
		return;
	}
	if (!e->reads)
		memcpy(path, module->id.path, len);
	raw(e, path, len);
	path[len] = 0;
	module->id.path = path;
	module->id.debuglink[MODULE_ID_DEBUGLINK - 1] = 0;
}

static void all_modules(struct estate *e)
{
	enum { PATH_ROOM = 1 << 13 };
	struct modules *modules = &e->engine->program.modules;
	size_t count = counted(e, modules->list.len, MOST_MODULES);
	char *path = malloc(PATH_ROOM);

	e->bad |= !path;
	for (size_t i = 0; i < count && !e->bad; i++) {
		struct module module = e->reads ? (struct module){0} : *modules->list.at[i];

		one_module(e, &module, path, PATH_ROOM);
		if (e->reads && !e->bad)
			e->bad |= !modules_remember(modules, &module);
	}
	free(path);
}

/* ---- what was counted --------------------------------------------------------- */

static void times(struct estate *e)
{
	struct ledger *ledger = &e->engine->ledger;
	struct region_totals totals = *region_totals(ledger->region);
	unsigned depth = ledger->depth;

	raw(e, &depth, sizeof(depth));
	raw(e, &ledger->started_ms, sizeof(ledger->started_ms));
	raw(e, &ledger->counting_since, sizeof(ledger->counting_since));
	raw(e, &ledger->resident_at_start, sizeof(ledger->resident_at_start));
	raw(e, &ledger->stopped_calls, sizeof(ledger->stopped_calls));
	raw(e, &ledger->away_ms, sizeof(ledger->away_ms));
	raw(e, &ledger->selection.small, sizeof(ledger->selection.small));
	raw(e, &ledger->selection.small_before, sizeof(ledger->selection.small_before));
	raw(e, &ledger->tally.ages, sizeof(ledger->tally.ages));
	raw(e, &totals, sizeof(totals));
	e->bad |= !ages_are_sound(&ledger->tally.ages) || !ledger_set_depth(ledger, depth);
	if (e->reads && !e->bad)
		region_restore_totals(ledger->region, &totals);
}

static void one_context(struct estate *e, uint32_t id)
{
	struct ledger *ledger = &e->engine->ledger;
	struct region_context counters = {0};
	struct tally_context saved = {.id = id};
	uint32_t number = 0;

	if (!e->reads) {
		counters = *region_context_at(ledger->region, id);
		e->bad |= !tally_save(&ledger->tally, id, &number, &saved);
	}
	raw(e, &counters, sizeof(counters));
	raw(e, &saved, sizeof(saved));
	raw(e, &number, sizeof(number));
	if (e->reads && !e->bad)
		e->bad |= saved.id != id || !number != !id ||
			  !tally_restore(&ledger->tally, number, &saved) ||
			  !region_restore(ledger->region, id, &counters);
}

static void all_contexts(struct estate *e)
{
	size_t count = counted(e, region_context_count(e->engine->ledger.region), SHARED_CONTEXTS);

	for (uint32_t id = 0; id < count && !e->bad; id++)
		one_context(e, id);
	if (e->reads && !e->bad)
		tally_restore_inner(&e->engine->ledger.tally);
}

/* ---- all ------------------------------------------------------------------------ */

static void everything(struct estate *e)
{
	struct undo *undo = e->engine->undoing.undo;
	struct undo *copy = malloc(sizeof(*copy));

	e->bad |= !copy;
	if (copy && !e->reads)
		*copy = *undo;
	if (copy)
		raw(e, copy, sizeof(*copy));
	e->bad |= copy && !undo_is_sound(e->engine->tracee.arch, copy);
	if (!e->bad && e->reads)
		undo_take_up(undo, copy);
	free(copy);
	all_hooks(e);
	all_modules(e);
	times(e);
	all_contexts(e);
}

/* Two builds of one version may know other functions. */
static uint64_t mix_functions(uint64_t hash, bool loader)
{
	size_t count;
	const struct function *table = functions_table(loader, &count);

	for (size_t i = 0; i < count; i++) {
		const uint64_t words[] = {hash, table[i].call, table[i].kind, (uint64_t)table[i].size};

		hash = estate_hash((const uint8_t *)words, sizeof(words)) +
		       estate_hash((const uint8_t *)table[i].name, strlen(table[i].name));
	}
	return hash;
}

uint64_t estate_build(void)
{
	const uint64_t sizes[] = {inject_build(),	    sizeof(struct hook_page),
				  sizeof(struct module_id), sizeof(struct ages),
				  sizeof(struct region_context), sizeof(struct tally_context),
				  ARCH_MAX_DISPLACED,	    SHARED_HOOKS};

	return mix_functions(mix_functions(estate_hash((const uint8_t *)sizes, sizeof(sizes)), false), true);
}

void estate_sign(struct engine *engine, struct shared_left *left)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	left->build = estate_build();
	left->start_time = status_start(tracee_alive(&engine->tracee));
	left->left_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	strncpy(left->version, MEMTRACE_VERSION, sizeof(left->version) - 1);
}

size_t estate_write(struct engine *engine, uint8_t *at, size_t room)
{
	struct estate e = {.at = at, .end = at + room, .engine = engine};

	everything(&e);
	return e.bad ? 0 : (size_t)(e.at - at);
}

bool estate_read(struct engine *engine, uint8_t *bytes, size_t len)
{
	struct estate e = {.at = bytes, .end = bytes + len, .reads = true, .engine = engine};

	everything(&e);
	return !e.bad && e.at == e.end;
}

uint64_t estate_hash(const uint8_t *bytes, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */

	for (; len; len--)
		hash = (hash ^ *bytes++) * 0x100000001b3ull;
	return hash;
}
