/*
 * glibc's malloc as it lies in memory.  For the files glibc*.c alone.
 *
 *   main_arena (libc's .data) --next--> arena (first heap of its own) --next--> ... -->
 * main_arena | top [heap]:  | size | chunk ...  | size | chunk ... | ...            | size |
 * top chunk |
 *              `- bit 0: the chunk before is in use; so whether a chunk is tells the next one's
 *   heap_info | arena | chunks ...       (64 MiB aligned, linked by prev)
 */
#ifndef MEMTRACE_LEAK_GLIBC_PARTS_H
#define MEMTRACE_LEAK_GLIBC_PARTS_H

#include "heap/leak/parts.h"

enum {
	CHUNK_PREV_INUSE = 1,
	CHUNK_MMAPPED = 2,
	CHUNK_FLAGS = 7,
	ARENA_FAST_BINS = 10,
	ARENA_BINS = 127, /* pairs of pointers; bins[254] */
};

/* Offsets in struct malloc_state; compiled from the sources of each release. */
struct arena_row {
	const char *version;
	uint8_t word;
	uint16_t fast; /* fastbinsY; 0: none */
	uint16_t top, bins, next, system_mem, size;
};

/* The thread cache, tcache_perthread_struct. */
struct cache_row {
	uint8_t word, count_bytes; /* of a counter */
	uint8_t bins;
	bool down;	  /* counters say how many may still come */
	uint16_t entries; /* offset of the heads */
	uint16_t chunk;	  /* size of the chunk that it is in */
};

struct glibc {
	struct leak *leak;
	struct leak_allocator *allocator;
	const struct arena_row *row;
	unsigned word;
	unsigned align;		       /* MALLOC_ALIGNMENT: 2 words */
	taddr_t main;		       /* main_arena */
	taddr_t sbrk_base;	       /* 0: main_arena has no memory */
	uint64_t mmaps, mmapped_bytes; /* what mp_ says */
	taddr_t mmapped_at;	       /* where it says the second */
	uint32_t cache_most; /* blocks in a thread cache's list: where counters go down from */
	bool huge_mmaps;     /* 2.43: the size of a mapped chunk leaves out its header */
	VEC(taddr_t) arenas;
	VEC(struct glibc_cache {
		taddr_t at;
		const struct cache_row *row;
	})
	caches;		    /* chunks of their size */
	uint64_t linked[2]; /* links that made sense: plain; masked (2.32) */
	bool busy;	    /* an arena is locked: somebody is at work in it */
	bool cuts; /* main_arena's top was moved, and has no size yet: see glibc_find_parameters() */
};

/* 2.43 counts two words too many of the bytes of mapped chunks each time that one is moved by
 * realloc() (mremap_chunk(); seen in 2.43-7 of Debian), and never takes them back. */
static inline bool glibc_drifts(const struct glibc *g)
{
	return !g->row->fast;
}

static inline taddr_t glibc_word(struct glibc *g, taddr_t addr)
{
	return reader_word_or_0(&g->leak->jump, addr);
}

/* Finds main_arena in data, and its row.  False: it isn't there. */
bool glibc_find_arena(struct glibc *g, const struct data *data);
/* Finds mp_.  False: not there. */
bool glibc_find_parameters(struct glibc *g, const struct data *data);
/* The thread cache that fits in a chunk of this size, or NULL. */
const struct cache_row *glibc_cache_row(unsigned word, uint64_t chunk, size_t *at);

/* glibc_cache.c: takes the blocks of thread caches and fastbins away again. */
int glibc_empty_caches(struct glibc *g);
/* glibc_mmap.c: chunks that are mappings of their own. */
int glibc_find_mapped(struct glibc *g);

#endif
