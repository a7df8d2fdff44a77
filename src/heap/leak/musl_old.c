/*
 * The blocks of musl's malloc until 1.2.0 (src/malloc/malloc.c there, oldmalloc/ since).
 *
 *   mal (libc's .bss):  binmap u64 | 64 bins {lock, lock's waiters, head, tail}
 *                                        | ^
 *   free chunks, a ring a bin:          next, prev
 *
 *   heap:   page | 0 |1| size|1 | block ... |size|1| size|1 | block ... |size|1| 0|1 |  page
 *                 sentinel                    psize  csize               sentinel
 *
 * A chunk says its size in its head, and the next one says it again, both with a bit that it is in
 * use. Nothing says where heaps are: a page that begins like one, and from which a walk comes
 * exactly to a sentinel at a page's end, is one.  What the linker gave to malloc of the pages of its
 * data, before and behind it, begins the same way.  A mapping of its own begins like {2 words, its length - 2 words}.
 *
 * The checks: each size is there twice; and the free chunks that the walks meet are as many as the
 * bins have.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "heap/leak/parts.h"

enum {
	PAGE = 4096,
	BINS = 64,
	IN_USE = 1,
	LARGE = 0x1c00 * 4, /* words from which on a block is a mapping (MMAP_THRESHOLD) */
	RING_MAX = 1 << 28,
	WASTED_MAX = 1 << 20, /* (it is bounded, whatever the memory is) */
};

struct old {
	struct leak *leak;
	struct leak_allocator *allocator;
	struct reader *reader;
	struct leak_arena arena;
	unsigned word, bin; /* bytes */
	taddr_t mal;
	bool busy; /* somebody is at work in it */
	uint64_t free;
	uint64_t wasted; /* steps along what was no heap */
};

static int contradiction(struct old *o, const char *what, taddr_t at)
{
	if (o->busy)
		return -EAGAIN;
	return leak_refuse(o->allocator, "%s at " TADDR_FORMAT, what, at);
}

/* ---- its state ------------------------------------------------------------------------ */

/* Where the head of bin i is; and the chunk that the bin would be. */
static taddr_t head_of(const struct old *o, unsigned i)
{
	return o->mal + 8 + (taddr_t)i * o->bin + 8;
}

static taddr_t bin_chunk(const struct old *o, unsigned i)
{
	return head_of(o, i) - 2 * o->word;
}

static bool is_bin(struct old *o, unsigned i, uint64_t map, unsigned *used)
{
	taddr_t head, tail, self = bin_chunk(o, i);
	bool some = map >> i & 1;

	if (!reader_word(o->reader, head_of(o, i), &head) ||
	    !reader_word(o->reader, head_of(o, i) + o->word, &tail))
		return false;
	*used += head != 0;
	if (!head || head == self)
		return head == tail && !some;
	return some && reader_word_or_0(o->reader, head + 3 * o->word) == self &&
	       reader_word_or_0(o->reader, tail + 2 * o->word) == self;
}

static bool is_mal(struct old *o)
{
	unsigned used = 0;
	uint64_t map;

	if (!reader_copy(o->reader, o->mal, &map, sizeof(map)))
		return false;
	for (unsigned i = 0; i < BINS; i++)
		if (!is_bin(o, i, map, &used))
			return false;
	return used != 0;
}

/* By a bin that is empty, and leads to itself: whichever it is. */
static bool find_mal(struct old *o, const struct data *data)
{
	unsigned word = o->word;

	for (size_t at = 0; at + 2 * word <= data->len; at += word) {
		taddr_t self = data->begin + at - 2 * word;

		if (word_at(data->bytes + at, word) != self ||
		    word_at(data->bytes + at + word, word) != self)
			continue;
		for (unsigned i = 0; i < BINS && (size_t)i * o->bin + 16 <= at; i++) {
			o->mal = data->begin + at - 16 - (taddr_t)i * o->bin;
			if (o->mal % 8 == 0 && is_mal(o))
				return true;
		}
	}
	return false;
}

/* A lock is held; or the only thread, which takes none, may be in the middle of a call. */
static bool is_busy(struct old *o)
{
	const struct leak_input *in = &o->leak->in;
	bool busy = in->thread_count == 1 && !in->threads[0].in_syscall;

	for (unsigned i = 0; i <= BINS; i++) {
		uint8_t lock[4];

		busy |= reader_copy(o->reader, o->mal + 8 + (taddr_t)i * o->bin, lock, 4) &&
			u32_at(lock);
	}
	return busy;
}

/* ---- a heap ---------------------------------------------------------------------------- */

/* How far a run of chunks goes from the sentinel before `at` on; 0: it is none. */
static taddr_t run_end(struct old *o, taddr_t at, taddr_t limit)
{
	unsigned word = o->word;
	taddr_t psize, csize;

	if (!reader_word(o->reader, at, &psize) || psize != IN_USE)
		return 0;
	for (uint64_t steps = 1; at + 2 * word <= limit && reader_word(o->reader, at + word, &csize);
	     steps++) {
		uint64_t size = csize & ~(taddr_t)IN_USE;

		if (csize == IN_USE)
			return at;
		if (!size || size % (4 * word) || size > limit - at ||
		    !reader_word(o->reader, at + size, &psize) || psize != csize) {
			o->wasted += steps;
			return 0;
		}
		at += size;
	}
	return 0;
}

static int take_run(struct old *o, taddr_t at, taddr_t end)
{
	unsigned word = o->word;

	for (uint64_t size; at < end; at += size) {
		taddr_t csize = reader_word_or_0(o->reader, at + word);
		int code = 0;

		size = csize & ~(taddr_t)IN_USE;
		if (!size)
			return -EFAULT; /* (it was read before) */
		if (csize & IN_USE) {
			code = leak_add(o->leak, at + 2 * word, size - 2 * word);
			o->arena.used.blocks++;
			o->arena.used.bytes += size - 2 * word;
		} else {
			o->free++;
			leak_add_free(o->leak, &o->arena, size,
				      (at + 4 * word + PAGE - 1) & ~(taddr_t)(PAGE - 1),
				      (at + size) & ~(taddr_t)(PAGE - 1));
		}
		if (!code)
			code = leak_tick(o->leak, LEAK_STEP_ENUMERATE, o->leak->pending, 0);
		if (code)
			return code;
	}
	return 0;
}

/* The heap that begins at a page, if one does: *end is its end, else 0. */
static int heap_at(struct old *o, taddr_t page, taddr_t limit, taddr_t *end)
{
	taddr_t at = page + 2 * o->word, last = run_end(o, at, limit);
	int code;

	if (o->wasted > WASTED_MAX)
		return contradiction(o, "too much looks like a heap, and is none,", page);
	*end = last ? last + 2 * o->word : 0;
	if (!last || last == at || *end % PAGE) {
		*end = 0;
		return 0;
	}
	o->arena.system += *end - page;
	code = take_run(o, at, last);
	return code ? code : leak_note_heap(o->leak, page, *end);
}

/* A block that is a mapping of its own. */
static int large_at(struct old *o, taddr_t page, taddr_t limit, taddr_t *end)
{
	unsigned word = o->word;
	taddr_t psize = reader_word_or_0(o->reader, page + 2 * word);
	taddr_t csize = reader_word_or_0(o->reader, page + 3 * word);
	uint64_t len = csize + 2 * word;
	int code;

	*end = 0;
	if (psize != 2 * word || csize & IN_USE || len % PAGE || len < LARGE * word || len > limit - page)
		return 0;
	*end = page + len;
	code = leak_add(o->leak, page + 4 * word, csize - 2 * word);
	o->leak->mapped.blocks++;
	o->leak->mapped.bytes += len;
	return code ? code : leak_note_heap(o->leak, page, *end);
}

/* ---- where heaps may be ----------------------------------------------------------------- */

static int look_in(struct old *o, const struct mapping *mapping)
{
	taddr_t page = mapping->begin, end = 0;

	while (page + PAGE <= mapping->end) {
		int code = heap_at(o, page, mapping->end, &end);

		if (refused(o->allocator))
			return code;
		if (!code && !end)
			code = large_at(o, page, mapping->end, &end);
		if (!code)
			code = leak_tick(o->leak, LEAK_STEP_ENUMERATE, o->leak->pending, 0);
		if (code)
			return code;
		page = end ? end : page + PAGE;
	}
	return 0;
}

/* What was given to malloc of [begin, end), in a page of a module's data. */
static int look_in_rest(struct old *o, taddr_t begin, taddr_t end)
{
	unsigned word = o->word;
	taddr_t at = begin + (-(begin + 2 * word) & (4 * word - 1)), last;
	int code;

	if (begin >= end || at + 4 * word > end)
		return 0;
	last = run_end(o, at, end);
	if (!last || last == at)
		return 0;
	o->arena.system += last + 2 * word - at;
	code = take_run(o, at, last);
	return code ? code : leak_note_heap(o->leak, at, last + 2 * word);
}

static int look_in_module(struct old *o, const struct module *module)
{
	size_t count = 0;
	const struct image_segment *segments =
		module->image ? image_segments(module->image, &count) : NULL;

	for (size_t i = 0; i < count; i++) {
		taddr_t begin = module->bias + segments[i].vaddr, end;
		int code;

		if (!(segments[i].flags & 2)) /* PF_W */
			continue;
		begin = o->word == 4 ? (uint32_t)begin : begin;
		end = begin + segments[i].mem_size;
		code = look_in_rest(o, begin & ~(taddr_t)(PAGE - 1), begin);
		if (!code)
			code = look_in_rest(o, end, (end + PAGE - 1) & ~(taddr_t)(PAGE - 1));
		if (code)
			return code;
	}
	return 0;
}

static int look_everywhere(struct old *o)
{
	const struct maps *maps = o->leak->in.maps;
	const struct modules *modules = o->leak->in.modules;
	int code = 0;

	for (size_t i = 0; !code && !refused(o->allocator) && i < maps->list.len; i++) {
		const struct mapping *mapping = &maps->list.at[i];

		if (mapping_is_anonymous(mapping) ||
		    (mapping->write && !strcmp(mapping->path, "[heap]")))
			code = look_in(o, mapping);
	}
	for (size_t i = 0; !code && i < modules->mapped.len; i++)
		code = look_in_module(o, modules->mapped.at[i]);
	return code;
}

/* ---- what the bins have -------------------------------------------------------------------- */

static bool count_binned(struct old *o, uint64_t *ret)
{
	*ret = 0;
	for (unsigned i = 0; i < BINS; i++) {
		taddr_t self = bin_chunk(o, i), at = reader_word_or_0(o->reader, head_of(o, i));

		for (; at && at != self; at = reader_word_or_0(o->reader, at + 2 * o->word))
			if (++*ret > RING_MAX || *ret > o->free + BINS)
				return false;
	}
	return true;
}

static int enumerate(struct old *o)
{
	uint64_t binned;
	int code;

	strcpy(o->allocator->name, "musl");
	strcpy(o->allocator->version, "-1.2.0");
	o->busy = is_busy(o);
	code = look_everywhere(o);
	if (code == -EEXIST || code == -EINVAL)
		return contradiction(o, "two heaps have the same memory", o->mal);
	if (code || refused(o->allocator))
		return code;
	if (!count_binned(o, &binned) || binned != o->free)
		return contradiction(o, "its bins have other free chunks than its heaps", o->mal);
	code = leak_note_heap(o->leak, o->mal, head_of(o, BINS));
	if (code)
		return code;
	o->allocator->arenas = 1;
	return leak_doubt_chunks(o->leak) && leak_push(o->leak, &o->leak->arenas, o->arena) ? 0 : -ENOMEM;
}

int musl_old_enumerate(struct leak *leak, const struct data *data, struct leak_allocator *ret)
{
	struct old o = {.leak = leak,
			.allocator = ret,
			.reader = &leak->jump,
			.word = leak->in.cpu.word,
			.bin = 8 + 2u * leak->in.cpu.word};

	if (!find_mal(&o, data))
		return 0;
	o.arena.allocator = (uint32_t)leak->allocators.len;
	o.arena.addr = o.mal;
	return enumerate(&o);
}
