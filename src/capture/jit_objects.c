/*
 * The program keeps a list, and calls an empty function when it has changed it, where a debugger has
 * a breakpoint; we follow it as we do malloc, and know of each change.  Where it can't be followed we look:
 * at the list's head, before each walk when there is such code, and when a pc in no module is new.
 *
 *     __jit_debug_descriptor: version 1, action, relevant entry, first entry
 *                                                 |                  |
 *                                                 +--> entry <-- .. --+     next, previous,
 *                                                                           file: address, size
 *
 * Each change names its entry, so the head tells that something changed; but not what is taken away and
 * shown anew at the same place, with a file of the same address and size, between two looks.  So rows are
 * marked as guesses then.
 */
#include "capture/jit_objects.h"

#include <stdlib.h>
#include <string.h>

/* BYTES_MOST: of all files; threads may stand while they are read. */
enum { ENTRIES_MOST = 4096, FILE_MOST = 64 << 20, BYTES_MOST = 256 << 20, ENTRY = 32 };

/* ---- what was read -------------------------------------------------------------------- */

static void shown_destroy(struct jit_shown *shown)
{
	cfi_close(shown->cfi);
	jit_object_deinit(&shown->object);
	free(shown);
}

static void forget(struct jit_objects *objects)
{
	for (size_t i = 0; i < objects->shown.len; i++)
		shown_destroy(objects->shown.at[i]);
	vec_clear(&objects->shown);
	objects->bytes = 0;
}

/* All lists, when they are looked at next. */
static void read_anew(struct jit_objects *objects)
{
	forget(objects);
	for (size_t i = 0; i < objects->count; i++)
		memset(objects->lists[i].was, 0, sizeof(objects->lists[i].was));
}

/* ---- where the lists are ------------------------------------------------------------- */

struct search {
	bool found;
	uint64_t value;
};

static bool is_descriptor(void *arg, const struct image_symbol *symbol)
{
	struct search *search = arg;

	search->found = !strcmp(symbol->name, "__jit_debug_descriptor");
	search->value = symbol->value;
	return search->found;
}

/* (A function is found by its hash; only who has that has all symbols looked through.) */
static bool has_list(struct module *module, taddr_t *ret)
{
	struct search search = {.found = false};
	struct image_symbol function;

	if (!module->image || !image_symbol_find(module->image, "__jit_debug_register_code", &function))
		return false;
	image_for_each_symbol(module->image, is_descriptor, &search);
	*ret = search.value + module->bias;
	return search.found;
}

void jit_objects_locate(struct jit_objects *objects, const struct modules *modules)
{
	const struct jit_objects before = *objects;
	size_t kept = 0;

	objects->count = 0;
	objects->read = false;
	for (size_t i = 0; i < modules->mapped.len && objects->count < JIT_LISTS; i++) {
		struct jit_list list = {.instance = modules->mapped.at[i]->instance};

		if (!has_list(modules->mapped.at[i], &list.at))
			continue;
		for (size_t k = 0; k < before.count; k++)
			if (before.lists[k].at == list.at) {
				memcpy(list.was, before.lists[k].was, sizeof(list.was));
				kept++;
			}
		objects->lists[objects->count++] = list;
	}
	if (kept < before.count) /* what the one that is gone has shown is no more */
		read_anew(objects);
}

/* ---- what they have ------------------------------------------------------------------- */

struct code_entry {
	taddr_t next, at;
	uint64_t size;
};

static bool read_entry(struct memory *process, const struct arch *arch, taddr_t entry, uint8_t bytes[ENTRY],
		       struct code_entry *ret)
{
	unsigned word = arch->word_size;

	memset(bytes, 0, ENTRY);
	if (!entry || memory_read(process, entry, bytes, word == 8 ? ENTRY : 24))
		return false;
	*ret = (struct code_entry){.next = arch_word(arch, bytes), .at = arch_word(arch, bytes + 2 * word)};
	memcpy(&ret->size, bytes + (word == 8 ? 24 : 16), 8); /* (in our order: it is a process of this machine) */
	return true;
}

struct file_memory { /* the file as one: its address 0 is its begin */
	struct memory memory, *process;
	taddr_t at;
	uint64_t size;
};

static int read_file(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	const struct file_memory *file = (struct file_memory *)memory;

	if (addr > file->size || len > file->size - addr)
		return -1;
	return memory_read(file->process, file->at + addr, buf, len);
}

/* NULL: it is no such file, or memory is short. */
static struct jit_shown *show(struct memory *process, const struct arch *arch, taddr_t entry,
			      const struct code_entry *from)
{
	struct file_memory file = {{read_file}, process, from->at, from->size};
	struct jit_shown *shown = calloc(1, sizeof(*shown));
	struct image *image = NULL;

	if (!shown)
		return NULL;
	*shown = (struct jit_shown){.entry = entry, .at = from->at, .size = from->size};
	if (image_open(&file.memory, &image, NULL) || !cfi_is_for(image, arch) ||
	    jit_object_read(image, process, &shown->object)) {
		image_close(image);
		free(shown);
		return NULL;
	}
	image_close(image);
	if (shown->object.frames &&
	    cfi_open_bytes(shown->object.frames, shown->object.frames_len, shown->object.frames_at,
			   shown->object.code.at[0].begin, shown->object.eh, arch, &shown->cfi, NULL))
		shown->cfi = NULL;
	return shown;
}

static void add(struct jit_objects *objects, struct memory *process, const struct arch *arch,
		taddr_t entry, const struct code_entry *from)
{
	struct jit_shown *shown = objects->shown.len < ENTRIES_MOST && from->size <= FILE_MOST &&
						  from->size <= BYTES_MOST - objects->bytes
					  ? show(process, arch, entry, from)
					  : NULL;

	if (!shown)
		return;
	if (vec_push(&objects->shown, shown))
		objects->bytes += from->size;
	else
		shown_destroy(shown);
}

/* A list that was overwritten, or is just being changed, may lead back into itself: each time as many
 * entries are behind us as all before, the next of them is the one that must not come again. */
static void read_list(struct jit_objects *objects, struct memory *process, const struct arch *arch,
		      taddr_t entry)
{
	uint64_t tried = 0;
	taddr_t met = 0;
	struct code_entry from;
	uint8_t bytes[ENTRY];

	for (uint32_t i = 0; i < ENTRIES_MOST && entry != met && tried <= BYTES_MOST; i++) {
		if (!read_entry(process, arch, entry, bytes, &from))
			return;
		tried += from.size <= FILE_MOST ? from.size : 0;
		add(objects, process, arch, entry, &from);
		if (!(i & (i + 1)))
			met = entry;
		entry = from.next;
	}
}

/* Version, action, relevant and first entry; and what the latter of them says. */
static bool read_head(struct memory *process, const struct arch *arch, taddr_t at, uint8_t head[64])
{
	unsigned word = arch->word_size;
	struct code_entry ignored;

	memset(head, 0, 64);
	if (memory_read(process, at, head, 8 + 2 * word))
		return false;
	read_entry(process, arch, arch_word(arch, head + 8), head + 32, &ignored);
	return true;
}

static taddr_t first_of(const struct arch *arch, const struct jit_list *list)
{
	return arch_word(arch, list->was + 8 + arch->word_size);
}

bool jit_objects_update(struct jit_objects *objects, struct memory *process, const struct arch *arch,
			bool told)
{
	bool changed = false;

	objects->told = told;
	if (told && objects->read)
		return false;
	objects->read = true;
	for (size_t i = 0; i < objects->count; i++) {
		struct jit_list *list = &objects->lists[i];
		uint8_t head[64];

		if (!read_head(process, arch, list->at, head) || !memcmp(head, list->was, sizeof(head)))
			continue;
		memcpy(list->was, head, sizeof(head));
		changed = true;
	}
	if (!changed)
		return false;
	forget(objects);
	for (size_t i = 0; i < objects->count; i++)
		read_list(objects, process, arch, first_of(arch, &objects->lists[i]));
	return true;
}

static void take_back(struct jit_objects *objects, taddr_t entry)
{
	size_t kept = 0;

	for (size_t i = 0; i < objects->shown.len; i++) {
		struct jit_shown *shown = objects->shown.at[i];

		if (shown->entry != entry) {
			objects->shown.at[kept++] = shown;
			continue;
		}
		objects->bytes -= shown->size;
		shown_destroy(shown);
	}
	objects->shown.len = kept;
}

static void take_change(struct jit_objects *objects, struct memory *process, const struct arch *arch,
			struct jit_list *list, const uint8_t head[64])
{
	enum { REGISTER = 1 };
	taddr_t entry = arch_word(arch, head + 8);
	struct code_entry from;
	uint8_t bytes[ENTRY];
	uint32_t action;

	memcpy(list->was, head, sizeof(list->was));
	memcpy(&action, head + 4, sizeof(action));
	take_back(objects, entry);
	if (action == REGISTER && read_entry(process, arch, entry, bytes, &from))
		add(objects, process, arch, entry, &from);
}

/*
 * The list is that of the library whose function was called: another one may be about to be changed by
 * another thread, and name an entry that is no more.  But whose function it is the linker has chosen
 * apart from whose list: where its own is as before it was another one.
 */
void jit_objects_told(struct jit_objects *objects, struct memory *process, const struct arch *arch,
		      uint32_t instance)
{
	uint8_t heads[JIT_LISTS][64];
	bool changed[JIT_LISTS] = {false}, own = false;

	jit_objects_update(objects, process, arch, true); /* (all that there is, the first time) */
	for (size_t i = 0; i < objects->count; i++) {
		const struct jit_list *list = &objects->lists[i];

		changed[i] = read_head(process, arch, list->at, heads[i]) &&
			     memcmp(heads[i], list->was, sizeof(list->was)) != 0;
		own |= changed[i] && list->instance == instance;
	}
	for (size_t i = 0; i < objects->count; i++)
		if (changed[i] && (!own || objects->lists[i].instance == instance))
			take_change(objects, process, arch, &objects->lists[i], heads[i]);
}

struct jit_shown *jit_objects_find(const struct jit_objects *objects, taddr_t pc)
{
	for (size_t i = 0; i < objects->shown.len; i++)
		if (jit_object_covers(&objects->shown.at[i]->object, pc))
			return objects->shown.at[i];
	return NULL;
}

void jit_objects_clear(struct jit_objects *objects)
{
	forget(objects);
	vec_deinit(&objects->shown);
	objects->count = 0;
	objects->told = objects->read = false;
}
