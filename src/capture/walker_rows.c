/*
 * What a walk is told of a pc: its row, and the frame that it is.
 *
 * A process visits some thousands of distinct return addresses; each costs one lookup in the
 * unwind tables (some hundred nanoseconds) and is remembered.  The cache is dropped when modules
 * come or go.  Frames within our own stubs are known exactly, and an agent is told what is learned.
 */
#include <string.h>

#include "capture/walker_parts.h"
#include "region/known.h"

/* ---- unwind data of modules -------------------------------------------- */

void module_unwind_forget(struct module *module)
{
	struct module_unwind *unwind = module->owner;

	if (!unwind)
		return;
	unwinder_close(unwind->unwinder);
	free(unwind);
	module->owner = NULL;
}

const struct module_unwind *module_unwind_of(struct module *module, const struct arch *arch)
{
	struct module_unwind *unwind = module->owner;

	if (unwind)
		return unwind;
	unwind = calloc(1, sizeof(*unwind));
	if (!unwind)
		return NULL;
	unwind->from = "none";
	if (module->image && unwinder_open(module->image, arch, &unwind->unwinder, NULL) == 0)
		unwind->from = unwinder_from(unwind->unwinder);
	module->owner = unwind;
	return unwind;
}

/* ---- rows -------------------------------------------------------------- */

static void rows_forget(struct walker *walker)
{
	if (walker->cache)
		memset(walker->cache, 0, walker->cache_len * sizeof(*walker->cache));
	walker->cache_used = 0;
}

/* Room for one more; on shortage of memory the cache is emptied instead. */
static bool cache_grow(struct walker *walker)
{
	uint32_t len = walker->cache_len ? walker->cache_len * 2 : WALKER_FIRST;
	struct walker_entry *grown;

	if (walker->cache_len && walker->cache_used * 2 < walker->cache_len)
		return true;
	grown = calloc(len, sizeof(*grown));
	if (!grown) {
		walker_forget(walker);
		return walker->cache_len != 0;
	}
	for (uint32_t i = 0; i < walker->cache_len; i++)
		if (walker->cache[i].key)
			*walker_slot(grown, len, walker->cache[i].key) = walker->cache[i];
	free(walker->cache);
	walker->cache = grown;
	walker->cache_len = len;
	return true;
}

/* A row for a pc in an area of ours, but not in displaced code. */
static void stub_row(const struct walker *walker, uint64_t pc, bool exact,
		     struct walker_entry *entry)
{
	const struct arch *arch = walker->tracee->arch;
	const struct hook *hook = hooks_by_stub(walker->hooks, pc);
	const struct stub_area *area = hooks_area_at(walker->hooks, pc);
	const struct stub *stub = hook ? &hook->stub : NULL;
	int32_t slot = area ? arch->trap->stub_frame(area, stub, pc, !exact) : -1;

	entry->frame = frame_of(WALKER_STUB, 0);
	entry->row = (struct row){.cfa = ROW_CFA_NONE};
	if (slot >= 0)
		entry->row = (struct row){.cfa = ROW_CFA_SP,
					  .cfa_offset = slot + arch->word_size,
					  .ra = ROW_AT_CFA,
					  .ra_offset = (int16_t)-arch->word_size,
					  .fp = ROW_SAME};
}

uint64_t walker_original_pc(const struct walker *walker, uint64_t pc, bool exact)
{
	const struct hook *hook = hooks_by_stub(walker->hooks, pc);

	if (!hook || stub_place(&hook->stub, pc) != STUB_COPY ||
	    (!exact && pc == hook->stub.payload_entry))
		return pc;
	for (uint32_t i = 0; i < hook->stub.displaced.count; i++)
		if (hook->stub.copy + hook->stub.displaced.map[i].copy == pc)
			return hook->stub.function + hook->stub.displaced.map[i].original;
	return pc;
}

/* The file's own CFI does not say: what were we told?  That nothing is known is said once. */
static void row_supplied(struct walker *walker, struct module *module, uint64_t vaddr,
			 struct row *ret)
{
	struct module_unwind *unwind = module->owner;
	const struct row *row = externals_row(walker->externals, module, vaddr);

	if (row) {
		*ret = *row;
	} else if (ret->cfa == ROW_CFA_NONE && unwind && !unwind->told && !walker->no_rows) {
		unwind->told = true;
		walker->no_rows = module;
	}
}

bool walker_place_find(struct walker *walker, const struct module *module, uint64_t pc,
		       bool exact, bool thumb, struct unwinder_place *place,
		       struct unwinder **ret)
{
	const struct module_unwind *unwind =
		module_unwind_of((struct module *)module, walker->tracee->arch);

	*place = (struct unwinder_place){pc - module->bias, exact, thumb};
	*ret = unwind ? unwind->unwinder : NULL;
	return *ret != NULL;
}

/* By the mappings as they were when modules were looked for last. */
static bool is_code(const struct walker *walker, uint64_t pc)
{
	const struct mapping *mapping = walker->maps ? maps_find(walker->maps, pc) : NULL;

	return !walker->maps || (mapping && mapping->exec);
}

/* Is the function followed by which changes are told, of each list? */
static bool is_told(const struct walker *walker)
{
	size_t count = 0;

	for (size_t i = 0; i < walker->hooks->list.len; i++)
		count += walker->hooks->list.at[i].function->call == CALL_JIT;
	return count >= walker->objects->count;
}

void walker_look_at_objects(struct walker *walker)
{
	if (jit_objects_there() &&
	    jit_objects_update(walker->objects, &walker->tracee->target.memory, walker->tracee->arch,
			       is_told(walker)))
		rows_forget(walker);
}

void walker_hear_of_objects(struct walker *walker, uint32_t instance)
{
	if (jit_objects_there())
		jit_objects_told(walker->objects, &walker->tracee->target.memory, walker->tracee->arch,
				 instance);
	rows_forget(walker);
}

/* What the program shows to debuggers of it. */
static void shown_find(struct walker *walker, uint64_t lookup, bool exact, struct walker_entry *entry)
{
	const struct jit_shown *shown;
	const struct jit_symbol *symbol;

	if (!walker->objects->count)
		return;
	walker_look_at_objects(walker);
	shown = jit_objects_find(walker->objects, lookup);
	symbol = shown ? jit_object_symbol(&shown->object, lookup) : NULL;
	if (symbol && frame_offset(entry->frame) == lookup + !exact)
		entry->frame = frame_of(FRAME_NOWHERE, jit_names_key_of(walker->jit, symbol->begin,
									 symbol->end, symbol->name) +
							       !exact);
	if (!shown || !shown->cfi)
		return;
	cfi_row(shown->cfi, lookup, &entry->row);
	if (entry->row.cfa == ROW_CFA_FULL) /* (which takes a module) */
		entry->row.cfa = ROW_CFA_NONE;
	if (!walker->objects->told)
		entry->row.flags |= ROW_GUESS;
}

/* In no module: where a function is known to be, its key stands for all of it (as a return address
 * does: behind what is looked up). */
static void nowhere_find(struct walker *walker, uint64_t pc, bool exact,
			 struct walker_entry *entry)
{
	uint64_t lookup = pc - !exact;

	walker->unknown_pc = true;
	entry->frame = frame_of(FRAME_NOWHERE, pc);
	if (!is_code(walker, lookup))
		entry->row.cfa = ROW_CFA_NO_CODE;
	else if (walker->jit)
		entry->frame = frame_of(FRAME_NOWHERE,
					jit_names_key(walker->jit, lookup) + !exact);
	if (jit_objects_there() && entry->row.cfa != ROW_CFA_NO_CODE && walker->jit && walker->objects)
		shown_find(walker, lookup, exact, entry);
}

/* state: the bits of pc that say how its code is to be read. */
static void row_find(struct walker *walker, uint64_t pc, uint64_t state, bool exact,
		     struct walker_entry *entry)
{
	struct unwinder_place place;
	struct unwinder *unwinder;
	struct module *module;

	memset(&entry->row, 0, sizeof(entry->row));
	if (agent_frames_row(&walker->agent, walker->tracee->arch, walker->undo, pc, exact,
			     &entry->row)) {
		entry->frame = frame_of(WALKER_STUB, 0);
		return;
	}
	if (undo_covers(walker->undo, pc)) {
		uint64_t original = walker_original_pc(walker, pc, exact);
		if (original == pc) {
			stub_row(walker, pc, exact, entry);
			return;
		}
		pc = original;
	}
	module = modules_find(walker->modules, pc);
	if (!module || !is_code(walker, exact ? pc : pc - 1)) {
		nowhere_find(walker, pc, exact, entry);
		return;
	}
	entry->frame = frame_of(module->instance, pc - module->bias);
	if (walker_place_find(walker, module, pc, exact, state != 0, &place, &unwinder))
		unwinder_row(unwinder, &place, &entry->row);
	if (entry->row.cfa == ROW_CFA_NONE || walker->tracee->arch->external_rows_first)
		row_supplied(walker, module, (exact ? pc : pc - 1) - module->bias, &entry->row);
}

/* What an agent is told, also that nothing is known of a place in a module: not of our own code, so
 * that it takes no call within another one for the program's; a walk ends at a stub. */
static void row_share(const struct walker *walker, uint64_t pc, bool exact,
		      const struct walker_entry *entry)
{
	const struct row end = {.cfa = ROW_CFA_FULL};

	if (walker->shared && frame_instance(entry->frame) == WALKER_STUB && !exact &&
	    !undo_is_agent(walker->undo, pc - 1))
		known_pc_add(walker->shared, pc, exact, entry->frame, &end);
	if (walker->shared && frame_instance(entry->frame) != FRAME_NOWHERE &&
	    !undo_covers(walker->undo, pc))
		known_pc_add(walker->shared, pc, exact, entry->frame, &entry->row);
}

const struct row *walker_learn(struct walker *walker, uint64_t pc, bool exact, frame_t *frame)
{
	uint64_t state = pc & walker->tracee->arch->state_mask, key = pc * 2 + exact;
	struct walker_entry *found = &walker->scratch, *entry;

	row_find(walker, pc & ~state, state, exact, found);
	/* What is no code is any word, and may become code. */
	if (found->row.cfa != ROW_CFA_NO_CODE && cache_grow(walker)) {
		entry = walker_slot(walker->cache, walker->cache_len, key);
		found->key = key;
		*entry = *found;
		walker->cache_used++;
	}
	if (found->row.cfa != ROW_CFA_NO_CODE)
		row_share(walker, pc & ~state, exact, found);
	*frame = found->frame;
	return &found->row;
}

/* ---- all of them ------------------------------------------------------------ */

void walker_forget(struct walker *walker)
{
	rows_forget(walker);
	walker->window_len = 0;
	if (walker->shared)
		known_pcs_forget(walker->shared);
}
