/*
 * Chunks that are marked as in use, and are free: in the caches of threads (tcache) and in
 * fastbins, both singly linked.  A thread's cache is a chunk like any other; those that have
 * its size are looked at, and it is one if every list in it is as long as it counts, of chunks
 * of that list's size.  Since 2.32 a link is stored as next ^ (its own address >> 12); which it
 * is, is told by which of both leads on.
 *
 * A call in progress may have taken a chunk off and not yet counted: off by one is taken.
 */
#include <errno.h>

#include "heap/leak/glibc_parts.h"

enum { CHAIN_MAX = 1 << 24 };

/* The address that is stored at `at`. */
static taddr_t link_at(struct glibc *g, taddr_t at, bool masked)
{
	taddr_t stored = glibc_word(g, at);

	return masked ? stored ^ at >> 12 : stored;
}

static uint64_t chunk_size(struct glibc *g, taddr_t block)
{
	return glibc_word(g, block - g->word) & ~(taddr_t)CHUNK_FLAGS;
}

/* ---- one chain ---------------------------------------------------------------------- */

struct chain {
	taddr_t head;	      /* a block's address, or a chunk's with in_chunks */
	bool in_chunks;	      /* links are chunks' addresses (fastbins) */
	uint64_t least, most; /* sizes of chunks */
};

static bool is_in(struct glibc *g, const struct chain *chain, taddr_t block)
{
	uint64_t size;

	if (!index_has(&g->leak->index, block))
		return false;
	size = chunk_size(g, block);
	return size >= chain->least && size <= chain->most;
}

/* How many blocks long it is, with links of this kind; *whole: to its end. */
static uint32_t chain_length(struct glibc *g, const struct chain *chain, bool masked,
			     bool *whole)
{
	taddr_t skip = chain->in_chunks ? 2 * g->word : 0, at = chain->head;
	uint32_t length = 0;

	while (at && is_in(g, chain, at + skip) && length < CHAIN_MAX) {
		at = link_at(g, at + skip, masked);
		length++;
	}
	*whole = !at;
	return length;
}

/* Takes the first `length` blocks away. */
static void chain_drop(struct glibc *g, const struct chain *chain, bool masked, uint32_t length)
{
	taddr_t skip = chain->in_chunks ? 2 * g->word : 0, at = chain->head;

	for (; length; length--) {
		taddr_t next = link_at(g, at + skip, masked);

		if (leak_drop(g->leak, at + skip)) {
			g->allocator->cached.blocks++;
			g->allocator->cached.bytes += chunk_size(g, at + skip) - g->word;
		}
		at = next;
	}
}

/* ---- thread caches ----------------------------------------------------------------- */

static taddr_t cache_head(struct glibc *g, const struct glibc_cache *cache, unsigned bin)
{
	return glibc_word(g, cache->at + cache->row->entries + bin * g->word);
}

static uint32_t cache_counter(struct glibc *g, const struct glibc_cache *cache, unsigned bin)
{
	const uint8_t *bytes =
		reader_bytes(&g->leak->jump, cache->at + bin * cache->row->count_bytes,
			     cache->row->count_bytes);

	return !bytes ? 0 : cache->row->count_bytes == 1 ? bytes[0] : bytes[0] | bytes[1] << 8u;
}

static struct chain cache_chain(struct glibc *g, const struct glibc_cache *cache, unsigned bin)
{
	uint64_t size = 4 * g->word + bin * g->align;
	bool large = bin >= 64; /* 2.42: by powers of two */

	return (struct chain){cache_head(g, cache, bin), false, large ? 64 * g->align : size,
			      large ? 8 << 20 : size};
}

/* Is every list as long as it counts?  *off: how many are one off. */
static bool cache_fits(struct glibc *g, const struct glibc_cache *cache, bool masked,
		       uint32_t *off, uint32_t *links)
{
	uint32_t most = g->cache_most;

	*off = *links = 0;
	for (unsigned bin = 0; bin < cache->row->bins; bin++) {
		struct chain chain = cache_chain(g, cache, bin);
		uint32_t count = cache_counter(g, cache, bin), length;
		bool whole;

		if (cache->row->down) {
			if (count > most && bin < 64)
				return false;
			count = bin < 64 ? most - count : 0;
		}
		length = chain_length(g, &chain, masked, &whole);
		*links += length;
		if (bin >= 64 ? whole : whole && length == count)
			continue;
		if (length + 1 < count || length > count + 1 || ++*off > 1)
			return false;
	}
	return true;
}

/* Which kind of link is it by this cache?  The better one; false: it is no cache. */
static bool cache_judge(struct glibc *g, const struct glibc_cache *cache, bool *masked,
			uint32_t *off)
{
	uint32_t links[2], offs[2];
	bool fits[2];

	for (unsigned kind = 0; kind < 2; kind++)
		fits[kind] =
			cache_fits(g, cache, kind, &offs[kind], &links[kind]) && links[kind];
	if (!fits[0] && !fits[1])
		return false;
	*masked = fits[1] && (!fits[0] || offs[1] < offs[0] || links[1] > links[0]);
	*off = offs[*masked];
	g->linked[*masked] += links[*masked];
	return true;
}

static void cache_drop(struct glibc *g, const struct glibc_cache *cache, bool masked)
{
	for (unsigned bin = 0; bin < cache->row->bins; bin++) {
		struct chain chain = cache_chain(g, cache, bin);
		bool whole;

		chain_drop(g, &chain, masked, chain_length(g, &chain, masked, &whole));
	}
}

static void cache_take_off(struct glibc *g, const struct glibc_cache *cache)
{
	bool masked;
	uint32_t off;

	if (!index_has(&g->leak->index, cache->at) || !cache_judge(g, cache, &masked, &off))
		return;
	g->allocator->in_flight += off;
	cache_drop(g, cache, masked);
	leak_drop(g->leak, cache->at); /* the cache is malloc's own */
}

/* ---- fastbins ---------------------------------------------------------------------- */

static struct chain fast_chain(struct glibc *g, taddr_t arena, unsigned bin)
{
	uint64_t size = (taddr_t)(bin + 2) * 2 * g->word;

	return (struct chain){glibc_word(g, arena + g->row->fast + bin * g->word), true, size,
			      size};
}

static void fast_drop(struct glibc *g, taddr_t arena, unsigned bin)
{
	struct chain chain = fast_chain(g, arena, bin);
	uint32_t length[2];
	bool whole[2], masked;

	if (!chain.head)
		return;
	for (unsigned kind = 0; kind < 2; kind++)
		length[kind] = chain_length(g, &chain, kind, &whole[kind]);
	/* (a list of one ends, by its own word, in one way only) */
	masked = whole[0] != whole[1] ? whole[1] : g->linked[1] > g->linked[0];
	g->allocator->in_flight += !whole[masked];
	g->linked[masked] += length[masked];
	chain_drop(g, &chain, masked, length[masked]);
}

int glibc_empty_caches(struct glibc *g)
{
	for (size_t i = 0; i < g->caches.len; i++)
		cache_take_off(g, &g->caches.at[i]);
	for (size_t i = 0; g->row->fast && i < g->arenas.len; i++)
		for (unsigned bin = 0; bin < ARENA_FAST_BINS; bin++)
			fast_drop(g, g->arenas.at[i], bin);
	return 0;
}
