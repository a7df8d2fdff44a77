/*
 * Cleaning up after predecessors.
 *
 * An area of stubs has a header (arch.h) at a multiple of 16 bytes behind a module's text.
 * What leads there is found without any names, which may be ours no more (a predecessor
 * was told of functions by memtrace-fs, or knew others):
 *
 *    a patch = where a module's code is not as in its file, and jumps into an area
 *
 * Nothing else jumps there: it is nobody's memory.  First the patches go: from then on no
 * thread enters.  Those inside leave within microseconds, or when the call that they are in
 * returns; then the area goes, too.  One in which a thread stays is looked at again when we
 * leave ourselves.  An area that something still leads to is never wiped: it stays as
 * harmless as it was.  That is code whose file can't be read; code that is no file's, in which
 * a tool that hooked the same function keeps a copy of a patch; and what a predecessor has
 * marked (undo.h).
 */
#include "hook/predecessor.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/vec.h"
#include "hook/area.h"
#include "hook/entries.h"
#include "hook/page.h"
#include "tracer/inside.h"
#include "tracer/retry.h"

enum {
	RANGES = 64,
	TRIES = 100,
	ASLEEP_TRIES = 3,
	PAUSE_MS = 2,
	PATCH = 16,	   /* the longest */
	PIECE = 64 * 1024, /* of code, looked at at once */
	PAGE = 4096,	   /* no page is smaller */
};

struct patch { /* of a predecessor */
	taddr_t at;
	uint32_t len;
	uint8_t original[PATCH]; /* by the file */
};

struct predecessor {
	const struct hook_process *process;
	struct tracee *tracee;
	const struct modules *modules;
	const struct maps *maps;
	struct inside_range ranges[RANGES]; /* of areas; begin - 1, as a header is no target */
	uint32_t hosts[RANGES];
	bool held[RANGES]; /* something leads there that can't be put back */
	size_t count;
	uint32_t host;
	VEC(struct patch) patches;
};

/* ---- areas ------------------------------------------------------------- */

static bool area_note(void *arg, taddr_t begin, taddr_t end)
{
	struct predecessor *h = arg;
	uint32_t held = 0;

	if (target_read(&h->tracee->target, begin + UNDO_HELD_AT, &held, sizeof(held)))
		held = 1;
	h->hosts[h->count] = h->host;
	h->held[h->count] = held != 0;
	h->ranges[h->count++] = (struct inside_range){begin - 1, end};
	return h->count == RANGES;
}

static void page_note(void *arg, const struct space *space)
{
	struct predecessor *h = arg;

	h->host = HOST_PAGE;
	if (h->count < RANGES)
		area_visit(h->tracee, space, area_note, h);
}

static void areas_find(struct predecessor *h)
{
	page_visit(h->process, page_note, h);
	for (size_t i = 0; i < h->modules->mapped.len && h->count < RANGES; i++) {
		struct space space;

		if (!page_vdso_place(h->modules->mapped.at[i], &space) &&
		    !padding_of(h->modules->mapped.at[i], h->maps, &space))
			continue;
		h->host = space.host;
		area_visit(h->tracee, &space, area_note, h);
	}
}

/* The area that code at `at` jumps into, as an index; h->count: none. */
static size_t area_entered(const struct predecessor *h, const uint8_t *code, taddr_t at)
{
	const struct arch *arch = h->tracee->arch;

	for (uint64_t state = 0; state <= arch->state_mask && !(at & arch->state_mask);
	     state++) {
		taddr_t target = arch->trap->patch_target(code, at | state);

		for (size_t i = 0; target && i < h->count; i++)
			if (target > h->ranges[i].begin && target < h->ranges[i].end)
				return i;
	}
	return h->count;
}

/* The area that the word at `bytes` is an address in, which a jump may take from there. */
static size_t area_named(const struct predecessor *h, const uint8_t *bytes)
{
	uint64_t word = arch_word(h->tracee->arch, bytes);

	for (size_t i = 0; i < h->count; i++)
		if (word > h->ranges[i].begin && word < h->ranges[i].end)
			return i;
	return h->count;
}

static void area_wipe(const struct predecessor *h, size_t i)
{
	struct space space = {.base = h->ranges[i].begin + 1, .host = h->hosts[i]};
	size_t len = (size_t)(h->ranges[i].end - space.base);
	const struct module *host = modules_by_instance(h->modules, space.host);
	uint8_t *original = calloc(1, len); /* zeros, in a page of ours */

	if (original && (space.host == HOST_PAGE ||
			 (host && padding_original(host, &space, original, len) == 0)))
		target_write(&h->tracee->target, space.base, original, len);
	free(original);
}

/* The file's bytes come back where nobody is inside and nothing leads to; the others are
 * kept in mind.  Returns how many of those will be left some day. */
static size_t areas_wipe(struct predecessor *h)
{
	bool nobody = !inside_ranges(h->tracee, h->ranges, h->count, true);
	size_t kept = 0, waiting = 0;

	for (size_t i = 0; i < h->count; i++) {
		if (!h->held[i] &&
		    (nobody || !inside_ranges(h->tracee, &h->ranges[i], 1, true))) {
			area_wipe(h, i);
			continue;
		}
		waiting += !h->held[i];
		h->ranges[kept] = h->ranges[i];
		h->held[kept] = h->held[i];
		h->hosts[kept++] = h->hosts[i];
	}
	h->count = kept;
	return waiting;
}

/* ---- patches ----------------------------------------------------------- */

static bool is_within(const struct predecessor *h, taddr_t at)
{
	for (size_t i = 0; i < h->count; i++)
		if (at > h->ranges[i].begin && at < h->ranges[i].end)
			return true;
	return false;
}

/* Then the file does not say what was there. */
static bool is_relocated(struct image *image, uint64_t vaddr, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (image_is_relocated(image, vaddr + i))
			return true;
	return false;
}

/* there: len bytes of code as they are; file: as they should be but for the image's
 * relocations, or NULL: nobody knows. */
static void piece_search(struct predecessor *h, taddr_t begin, const uint8_t *there,
			 const uint8_t *file, struct image *image, taddr_t bias, size_t len)
{
	const struct arch_trap *trap = h->tracee->arch->trap;

	for (size_t i = 0; i + trap->patch_len <= len; i++) {
		struct patch patch = {.at = begin + i};
		uint8_t code[PATCH] = {0}; /* (it may end before the longest patch would) */
		size_t area;

		memcpy(code, there + i, len - i < sizeof(code) ? len - i : sizeof(code));
		patch.len = arch_patch_len(trap, code);
		if (patch.len > len - i)
			continue;
		if (file && !memcmp(there + i, file + i, patch.len))
			continue;
		if (is_within(h, patch.at))
			continue; /* stubs jump about in themselves */
		area = area_entered(h, code, patch.at);
		if (area == h->count && !file && i + h->tracee->arch->word_size <= len)
			area = area_named(h, there + i);
		if (area == h->count)
			continue;
		if (file)
			memcpy(patch.original, file + i, patch.len);
		if (!file || is_relocated(image, patch.at - bias, patch.len) ||
		    !vec_push(&h->patches, patch))
			h->held[area] = true;
		i += patch.len - 1;
	}
}

/* image: by which the code is loaded with this bias; NULL: its file can't be read. */
static void code_search(struct predecessor *h, struct image *image, taddr_t bias, taddr_t begin,
			taddr_t end)
{
	uint32_t overlap = arch_patch_most(h->tracee->arch->trap) - 1; /* a patch may lie across */
	uint8_t *there = malloc(PIECE), *file = malloc(PIECE);
	taddr_t next;

	for (taddr_t at = begin; there && file && at < end; at = next) {
		size_t wanted = end - at < PIECE ? (size_t)(end - at) : PIECE;
		ssize_t len = target_read_some(&h->tracee->target, at, there, wanted);

		next = (at | (PAGE - 1)) + 1;
		if (len <= (ssize_t)overlap)
			continue; /* the page is unmapped, or the next one; or it is the end */
		next = at + (taddr_t)len - overlap;
		if (!image || image_read(image, at - bias, file, (size_t)len))
			piece_search(h, at, there, NULL, NULL, 0, (size_t)len);
		else if (memcmp(there, file, (size_t)len))
			piece_search(h, at, there, file, image, bias, (size_t)len);
	}
	if (!there || !file)
		memset(h->held, true, sizeof(h->held));
	free(there);
	free(file);
}

static void mappings_search(struct predecessor *h, const struct module *module)
{
	for (size_t i = 0; i < h->maps->list.len; i++) {
		const struct mapping *mapping = &h->maps->list.at[i];

		if (mapping->exec && mapping->begin >= module->begin &&
		    mapping->end <= module->end)
			code_search(h, NULL, 0, mapping->begin, mapping->end);
	}
}

static void module_search(struct predecessor *h, struct module *module)
{
	const struct image_segment *segments;
	size_t count = 0;

	if (!module->image || !module_has_file(module)) {
		mappings_search(h, module);
		return;
	}
	if (!entries_are_of(module, h->tracee->arch))
		return;
	segments = image_segments(module->image, &count);
	for (size_t i = 0; i < count; i++) {
		taddr_t begin = module->bias + segments[i].vaddr;

		if (segments[i].flags & PF_X)
			code_search(h, module->image, module->bias, begin,
				    begin + segments[i].file_size);
	}
}

/* Code that is no module's: nobody knows what it should be. */
static void others_search(struct predecessor *h)
{
	for (size_t i = 0; i < h->maps->list.len; i++) {
		const struct mapping *mapping = &h->maps->list.at[i];

		if (mapping->exec && !modules_find(h->modules, mapping->begin))
			code_search(h, NULL, 0, mapping->begin, mapping->end);
	}
}

/* Reads all code, which takes a millisecond per megabyte; the target may run. */
static void patches_find(struct predecessor *h)
{
	if (h->count)
		others_search(h);
	for (size_t i = 0; h->count && i < h->modules->mapped.len; i++)
		if (!h->modules->mapped.at[i]->vdso)
			module_search(h, h->modules->mapped.at[i]);
}

/* .. the two instructions of a far patch (tracer/between.h)? */
static bool somebody_is_between(const struct predecessor *h)
{
	bool found = false;

	for (size_t i = 0; i < h->patches.len && !found; i++) {
		const struct patch *patch = &h->patches.at[i];
		const struct inside_range range = {patch->at, patch->at + patch->len};

		found = patch->len > h->tracee->arch->trap->patch_len &&
			inside_ranges(h->tracee, &range, 1, false);
	}
	return found;
}

/* The file's bytes come back.  All threads are stopped. */
static void patches_restore(struct predecessor *h)
{
	uint8_t there[PATCH] = {0};

	for (size_t i = 0; i < h->patches.len; i++) {
		const struct patch *patch = &h->patches.at[i];
		size_t area;

		if (target_read(&h->tracee->target, patch->at, there, patch->len))
			continue;
		area = area_entered(h, there, patch->at);
		if (area < h->count &&
		    target_write(&h->tracee->target, patch->at, patch->original, patch->len))
			h->held[area] = true;
	}
	vec_clear(&h->patches);
}

/* ---- all --------------------------------------------------------------- */

static struct predecessor predecessor_of(const struct hook_process *process)
{
	return (struct predecessor){.process = process,
				    .tracee = process->tracee,
				    .modules = process->modules,
				    .maps = process->maps};
}

static int clear(void *arg)
{
	struct predecessor *h = arg;

	if (somebody_is_between(h))
		return -EAGAIN;
	patches_restore(h);
	return areas_wipe(h) ? -EAGAIN : 0;
}

int predecessor_clear(const struct hook_process *process, bool *left, struct err *err)
{
	const struct retry often = {.tries = TRIES,
				    .asleep_tries = ASLEEP_TRIES,
				    .first_ms = PAUSE_MS,
				    .last_ms = PAUSE_MS,
				    .unread = RETRY_NECESSARY};
	struct predecessor h = predecessor_of(process);
	int rc = 0;

	areas_find(&h);
	patches_find(&h);
	if (h.count)
		rc = retry_stopped(h.tracee, &often, clear, &h, err);
	tracee_resume(h.tracee);
	*left = h.count != 0;
	vec_deinit(&h.patches);
	return rc == -EAGAIN || rc == -ENODATA ? 0 : rc;
}

bool predecessor_wipe(const struct hook_process *process, bool *left)
{
	struct predecessor h = predecessor_of(process);
	bool stays;

	areas_find(&h);
	patches_find(&h);
	patches_restore(&h);
	stays = areas_wipe(&h) != 0;
	*left = h.count != 0;
	vec_deinit(&h.patches);
	return stays;
}
