/*
 * Chunks that are mappings of their own (mmap_threshold): `size | 2` in front of the block, and
 * how far in the mapping it begins in front of that, which is not 0 for memalign().
 * Neighbouring mappings are one to the kernel, so that each page may be where one begins.
 *
 *   until 2.42: prev_size + size = length;  2.43: bit 0 of prev_size = huge pages,
 *                                                 prev_size + size + 2 words = length
 *
 * malloc counts them, and their bytes: what is found must be that (but see glibc_drifts()).
 */
#include <errno.h>
#include <inttypes.h>

#include "heap/leak/glibc_parts.h"

enum { PAGE = 4096 };

/* Does a mapped chunk lie at page + offset?  Its mapping's length, or 0. */
static uint64_t mapped_at(struct glibc *g, taddr_t page, uint64_t offset, taddr_t limit)
{
	unsigned word = g->word;
	taddr_t prev, head;
	uint64_t size, length;

	if (!reader_word(&g->leak->jump, page + offset, &prev) ||
	    !reader_word(&g->leak->jump, page + offset + word, &head))
		return 0;
	size = head & ~(taddr_t)CHUNK_FLAGS;
	if ((head & CHUNK_FLAGS) != CHUNK_MMAPPED || (prev & ~(taddr_t)1) != offset)
		return 0;
	if (prev & 1 && !g->huge_mmaps)
		return 0;
	length = offset + size + (g->huge_mmaps ? 2 * word : 0);
	return size && length % PAGE == 0 && length <= limit - page ? length : 0;
}

/* The chunk of the mapping at page: *offset, and its length; 0: there is none. */
static uint64_t mapped_find(struct glibc *g, taddr_t page, taddr_t limit, uint64_t *offset)
{
	uint64_t length = mapped_at(g, page, 0, limit), aligned;

	*offset = 0;
	/* memalign() leaves the header at the mapping's begin, and makes one in front of the
	 * block */
	for (uint64_t align = 2 * g->align; align && align <= limit - page; align *= 2) {
		taddr_t block = (page + 2 * g->word + align - 1) & ~(align - 1);
		uint64_t at = block - 2 * g->word - page;

		if (block >= limit)
			break;
		if (!at || (!length && !g->huge_mmaps))
			continue;
		aligned = mapped_at(g, page, at, limit);
		if (aligned && (!length || aligned == length)) {
			*offset = at;
			return aligned;
		}
	}
	return length;
}

static int add_mapped(struct glibc *g, taddr_t page, uint64_t offset, uint64_t length)
{
	uint64_t size = length - offset - 2 * g->word;
	int code = leak_add(g->leak, page + offset + 2 * g->word, size);

	if (code)
		return code;
	g->leak->mapped.blocks++;
	g->leak->mapped.bytes += length;
	return leak_note_heap(g->leak, page, page + length);
}

static bool in_a_heap(const struct leak *leak, size_t heaps, taddr_t addr, taddr_t *end)
{
	for (size_t i = 0; i < heaps; i++) {
		if (leak->heaps.at[i].begin <= addr && addr < leak->heaps.at[i].end) {
			*end = leak->heaps.at[i].end;
			return true;
		}
	}
	return false;
}

/* The next page of [at, end) that has content; end: none. */
static taddr_t page_with_content(const struct leak *leak, taddr_t at, taddr_t end)
{
	struct range range;

	if (!leak->in.present)
		return at;
	return leak->in.present(leak->in.present_arg, at, end, &range) ? range.begin : end;
}

static int search(struct glibc *g, const struct mapping *mapping, size_t heaps)
{
	taddr_t at = mapping->begin, end = mapping->end, heap;

	while ((at = page_with_content(g->leak, at, end)) < end) {
		uint64_t offset, length;
		int code;

		if (in_a_heap(g->leak, heaps, at, &heap)) {
			at = (heap + PAGE - 1) & ~(taddr_t)(PAGE - 1);
			continue;
		}
		length = mapped_find(g, at, end, &offset);
		code = length ? add_mapped(g, at, offset, length)
			      : leak_tick(g->leak, LEAK_STEP_ENUMERATE, at, end);
		if (code)
			return code;
		at += length ? length : PAGE;
	}
	return 0;
}

static bool is_counted(const struct glibc *g, uint64_t bytes)
{
	return bytes == g->mmapped_bytes ||
	       (glibc_drifts(g) && bytes < g->mmapped_bytes &&
		(g->mmapped_bytes - bytes) % (2 * g->word) == 0);
}

int glibc_find_mapped(struct glibc *g)
{
	const struct maps *maps = g->leak->in.maps;
	struct leak_sum before = g->leak->mapped, found;
	size_t heaps = g->leak->heaps.len;

	g->huge_mmaps = !g->row->fast;
	for (size_t i = 0; g->mmaps && i < maps->list.len; i++) {
		int code = mapping_is_anonymous(&maps->list.at[i])
				   ? search(g, &maps->list.at[i], heaps)
				   : 0;

		if (code)
			return code;
	}
	found.blocks = g->leak->mapped.blocks - before.blocks;
	found.bytes = g->leak->mapped.bytes - before.bytes;
	if (found.blocks == g->mmaps && is_counted(g, found.bytes))
		return 0;
	/* A thread in malloc or free has mapped or unmapped one, and not counted it yet. */
	if (g->leak->in.thread_count > 1 &&
	    found.blocks <= g->mmaps + g->leak->in.thread_count &&
	    g->mmaps <= found.blocks + g->leak->in.thread_count)
		return -EAGAIN;
	return leak_refuse(g->allocator,
			   "%" PRIu64 " mapped blocks of %" PRIu64
			   " bytes were found, where malloc has counted %" PRIu64
			   " of %" PRIu64,
			   found.blocks, found.bytes, g->mmaps, g->mmapped_bytes);
}
