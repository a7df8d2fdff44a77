/*
 * The blocks of glibc's malloc: every arena is walked chunk by chunk, from its first one to its
 * top, where the walk must land exactly, and the sizes must add up to what the arena says it
 * has of the kernel.  What threads' caches and fastbins hold is then taken away, chunks that
 * are mappings of their own are added, and these must be as many, and as large, as malloc has
 * counted.
 *
 * Whatever does not come out makes a refusal.  While an arena is locked its thread may have
 * been in the middle of a change: then it is worth another picture (-EAGAIN).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "heap/leak/glibc_parts.h"
#include "heap/leak/obtained_parts.h"

static inline bool stream_word(struct glibc *g, taddr_t addr, taddr_t *ret)
{
	return reader_word(&g->leak->stream, addr, ret);
}

/* A contradiction: to be looked at again where somebody was at work. */
static int contradiction(struct glibc *g, const char *what, taddr_t at)
{
	if (g->busy)
		return -EAGAIN;
	return leak_refuse(g->allocator, "%s at " TADDR_FORMAT, what, at);
}

/* ---- a run of chunks --------------------------------------------------------------- */

static bool size_is_sane(const struct glibc *g, uint64_t size)
{
	return size >= 4 * g->word && size % g->align == 0;
}

/* malloc_trim(0) gives whole pages of it back: behind its links. */
static int count_free(struct glibc *g, struct leak_arena *arena, taddr_t chunk, uint64_t size)
{
	leak_add_free(g->leak, arena, size, (chunk + 6 * g->word + 4095) & ~(taddr_t)4095,
		      (chunk + size) & ~(taddr_t)4095);
	return 0;
}

static int count_used(struct glibc *g, struct leak_arena *arena, taddr_t chunk, uint64_t size)
{
	size_t row = 0;
	const struct cache_row *cache;
	int code = leak_add(g->leak, chunk + 2 * g->word, size - g->word);

	if (code)
		return code;
	arena->used.blocks++;
	arena->used.bytes += size - g->word;
	while ((cache = glibc_cache_row(g->word, size, &row)))
		if (!leak_push(g->leak, &g->caches,
			       ((struct glibc_cache){chunk + 2 * g->word, cache})))
			return -ENOMEM;
	return 0;
}

/*
 * Walks the chunks from *at to end, where one begins: the top, or with `fence` the mark that
 * closes a heap, and then the last chunk before it is part of the mark.  Ends early, with *at
 * there, where the walk does not go on.
 */
static int walk(struct glibc *g, struct leak_arena *arena, taddr_t *at, taddr_t end, bool fence)
{
	unsigned word = g->word;
	taddr_t head, next;

	if (!stream_word(g, *at + word, &head))
		return 0;
	while (*at < end) {
		uint64_t size = head & ~(taddr_t)CHUNK_FLAGS;
		bool last = fence && *at + size == end;
		int code;

		if ((!size_is_sane(g, size) && !(last && size == 2 * word)) ||
		    size > end - *at || head & CHUNK_MMAPPED ||
		    !stream_word(g, *at + size + word, &next))
			return 0;
		code = last			 ? 0
		       : next & CHUNK_PREV_INUSE ? count_used(g, arena, *at, size)
						 : count_free(g, arena, *at, size);
		if (!code)
			code = leak_tick(g->leak, LEAK_STEP_ENUMERATE, *at, end);
		if (code)
			return code;
		*at += size;
		head = next;
	}
	return 0;
}

/* ---- main_arena -------------------------------------------------------------------- */

/* Would a walk from `at` go on for a while, or come to top? */
static bool walk_begins(struct glibc *g, taddr_t at, taddr_t top)
{
	taddr_t head;

	for (unsigned i = 0; i < 16 && at != top; i++) {
		uint64_t size;

		if (!stream_word(g, at + g->word, &head))
			return false;
		size = head & ~(taddr_t)CHUNK_FLAGS;
		if (!size_is_sane(g, size) || size > top - at || head & (CHUNK_FLAGS & ~1u) ||
		    (!i && !(head & CHUNK_PREV_INUSE)))
			return false;
		at += size;
	}
	return true;
}

/* Somebody else called sbrk(): two marks of two words, their memory, and then the arena goes
 * on. */
static bool skip_foreign(struct glibc *g, taddr_t *at, taddr_t top)
{
	taddr_t mark = 2 * g->word | CHUNK_PREV_INUSE;

	if (glibc_word(g, *at + g->word) != mark || glibc_word(g, *at + 3 * g->word) != mark)
		return false;
	for (taddr_t to = *at + 4 * g->word; to < top && to - *at < 64 << 20; to += g->align) {
		if (walk_begins(g, to, top)) {
			*at = to;
			return true;
		}
	}
	return false;
}

static int walk_main(struct glibc *g, struct leak_arena *arena, taddr_t top)
{
	unsigned align = g->align, word = g->word;
	taddr_t at = ((g->sbrk_base + 2 * word + align - 1) & ~(taddr_t)(align - 1)) - 2 * word;
	unsigned pieces = 0;

	do {
		int code = walk(g, arena, &at, top, false);

		if (code)
			return code;
	} while (at != top && ++pieces < 4096 && skip_foreign(g, &at, top));
	if (at != top)
		return contradiction(g, "the walk of the main arena ended before its top,", at);
	if (arena->top > 4096) {
		uint64_t pages = (arena->top - 4 * word - 1) & ~(taddr_t)4095;

		leak_add_whole(g->leak, arena, top + arena->top - pages, top + arena->top);
	}
	return leak_note_heap(g->leak, g->sbrk_base, top + arena->top);
}

/* ---- other arenas ------------------------------------------------------------------ */

struct heaps {
	taddr_t first;	 /* heap_info of the arena's own heap */
	unsigned header; /* bytes of a heap_info */
	taddr_t mask;	 /* heaps are aligned to ~mask + 1 */
};

static taddr_t heap_of(const struct heaps *heaps, taddr_t addr)
{
	return addr & heaps->mask;
}

/* How this process makes heaps: heap_info grew in 2.35, and huge pages change the alignment. */
static bool heaps_find(struct glibc *g, taddr_t arena, taddr_t top, struct heaps *ret)
{
	static const uint64_t sizes[] = {64 << 20, 1 << 20, 8 << 20, 1 << 21, 4ull << 30};

	for (unsigned i = 0; i < 2; i++) {
		ret->header = (i ? 4 : 6) * g->word;
		ret->first = arena - ret->header;
		if (ret->first % 4096 || glibc_word(g, ret->first) != arena)
			continue;
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			ret->mask = ~(taddr_t)(sizes[s] - 1);
			if (heap_of(ret, arena) == ret->first &&
			    glibc_word(g, heap_of(ret, top)) == arena)
				return true;
		}
	}
	return false;
}

static int walk_heap(struct glibc *g, struct leak_arena *arena, const struct heaps *heaps,
		     taddr_t heap, taddr_t top)
{
	unsigned word = g->word;
	uint64_t size = glibc_word(g, heap + 2 * word);
	bool newest = heap_of(heaps, top) == heap;
	taddr_t at = heap == heaps->first ? arena->addr + g->row->size : heap + heaps->header;
	taddr_t end = newest ? top : heap + size - 2 * word;
	int code;

	at = ((at + 2 * word + g->align - 1) & ~(taddr_t)(g->align - 1)) - 2 * word;
	if (!size || size % 4096 || size > ~heaps->mask + 1 || at > end)
		return contradiction(g, "an arena's heap has an impossible size,", heap);
	code = walk(g, arena, &at, end, !newest);
	if (code)
		return code;
	if (at != end)
		return contradiction(g, "the walk of an arena's heap ended before its end,",
				     at);
	if (newest && top + arena->top != heap + size)
		return contradiction(g, "an arena's top does not end with its heap,", top);
	arena->system += size;
	return leak_note_heap(g->leak, heap, heap + size);
}

static int walk_other(struct glibc *g, struct leak_arena *arena, taddr_t top)
{
	enum { HEAPS_MAX = 1 << 20 };
	uint64_t system = glibc_word(g, arena->addr + g->row->system_mem);
	struct heaps heaps;
	taddr_t heap;
	unsigned count = 0;

	if (!heaps_find(g, arena->addr, top, &heaps))
		return contradiction(g, "the heaps of an arena were not found,", arena->addr);
	for (heap = heap_of(&heaps, top); heap; heap = glibc_word(g, heap + g->word)) {
		int code = 0;

		if (++count > HEAPS_MAX || heap_of(&heaps, heap) != heap ||
		    glibc_word(g, heap) != arena->addr)
			return contradiction(g, "an arena's list of heaps is broken", heap);
		code = walk_heap(g, arena, &heaps, heap, top);
		if (code == -EEXIST)
			return contradiction(g, "an arena's list of heaps is a ring", heap);
		if (code || refused(g->allocator))
			return code;
	}
	if (arena->system != system)
		return contradiction(g, "an arena has memory that was not found,", arena->addr);
	return 0;
}

/* ---- all --------------------------------------------------------------------------- */

static int walk_arena(struct glibc *g, taddr_t addr)
{
	struct leak_arena arena = {.allocator = (uint32_t)g->leak->allocators.len,
				   .addr = addr,
				   .main = addr == g->main};
	taddr_t top = glibc_word(g, addr + g->row->top);
	uint8_t lock[4];
	int code = 0;

	if (reader_copy(&g->leak->jump, addr, lock, 4))
		g->busy = u32_at(lock) != 0;
	if (top == addr + g->row->bins - 2 * g->word) /* (no memory yet) */
		return leak_push(g->leak, &g->leak->arenas, arena) ? 0 : -ENOMEM;
	arena.top = glibc_word(g, top + g->word) & ~(taddr_t)CHUNK_FLAGS;
	if (arena.main) {
		arena.system = glibc_word(g, addr + g->row->system_mem);
		g->busy |= g->cuts;
		if (g->cuts)
			arena.top = g->sbrk_base + arena.system - top;
		code = walk_main(g, &arena, top);
	} else {
		code = walk_other(g, &arena, top);
	}
	if (code || refused(g->allocator))
		return code;
	return leak_push(g->leak, &g->leak->arenas, arena) ? 0 : -ENOMEM;
}

static int walk_arenas(struct glibc *g)
{
	bool busy = false;

	for (size_t i = 0; i < g->arenas.len; i++) {
		int code = walk_arena(g, g->arenas.at[i]);

		if (code == -EEXIST)
			return contradiction(g, "two arenas have the same memory",
					     g->arenas.at[i]);
		if (code || refused(g->allocator))
			return code;
		busy |= g->busy;
	}
	g->busy = busy;
	g->allocator->arenas = (uint32_t)g->arenas.len;
	return 0;
}

static int enumerate(struct glibc *g, const struct data *data)
{
	int code;

	strcpy(g->allocator->name, "glibc");
	snprintf(g->allocator->version, sizeof(g->allocator->version), "%s", g->row->version);
	if (!glibc_find_parameters(g, data))
		return contradiction(g,
				     "malloc's parameters were not found beside its arena (one "
				     "that could not grow by brk() is not known)",
				     g->main);
	code = walk_arenas(g);
	if (!code && !refused(g->allocator))
		code = glibc_empty_caches(g);
	if (!code && !refused(g->allocator))
		code = glibc_find_mapped(g);
	if (!code && !refused(g->allocator))
		code = leak_note_heap(g->leak, g->main, g->main + g->row->size);
	if (!code && !leak_doubt_chunks(g->leak))
		code = -ENOMEM;
	return code;
}

int glibc_enumerate(struct leak *leak, const struct data *data, struct leak_allocator *ret)
{
	struct glibc g = {.leak = leak,
			  .allocator = ret,
			  .word = leak->in.cpu.word,
			  .align = 2u * leak->in.cpu.word};
	int code = glibc_find_arena(&g, data) ? enumerate(&g, data) : 0;

	leak_give(leak, g.arenas.at, g.arenas.cap, sizeof(*g.arenas.at));
	leak_give(leak, g.caches.at, g.caches.cap, sizeof(*g.caches.at));
	return code;
}

/* ---- what it has of the kernel ------------------------------------------------------ */

static bool read_obtained(struct leak *leak, const struct obtained_source *source, uint64_t *bytes)
{
	enum { ARENAS_MAX = 65536 };
	const struct arena_row *row = source->row;
	taddr_t arena = source->at[0], mmapped;
	unsigned count = 0;

	if (!reader_word(&leak->jump, source->at[1], &mmapped))
		return false;
	*bytes = mmapped;
	do {
		taddr_t system, most;

		if (!reader_word(&leak->jump, arena + row->system_mem, &system) ||
		    !reader_word(&leak->jump, arena + row->system_mem + row->word, &most) ||
		    system > most || ++count > ARENAS_MAX ||
		    !reader_word(&leak->jump, arena + row->next, &arena))
			return false;
		*bytes += system;
	} while (arena != source->at[0]);
	return true;
}

bool glibc_obtained(struct leak *leak, const struct data *data, struct obtained_source *ret)
{
	struct glibc g = {.leak = leak, .word = leak->in.cpu.word, .align = 2u * leak->in.cpu.word};
	bool found = glibc_find_arena(&g, data) && glibc_find_parameters(&g, data);

	leak_give(leak, g.arenas.at, g.arenas.cap, sizeof(*g.arenas.at));
	if (found)
		*ret = (struct obtained_source){read_obtained, {g.main, g.mmapped_at}, g.row};
	return found;
}
