/*
 * jemalloc as it lies in memory.  For the files jemalloc*.c alone.
 *
 *   rtree root (.bss): pointers --> leaf: entries, one per page
 *                                   | szind << 48 | extent | slab     in one word (64 bits), or
 *                                   | extent | szind, slab            apart (32 bits)
 *                                   v
 *   extent (edata_t, extent_t):  bits | address | size | ... | bitmap of a slab's free regions
 */
#ifndef MEMTRACE_LEAK_JEMALLOC_PARTS_H
#define MEMTRACE_LEAK_JEMALLOC_PARTS_H

#include "heap/leak/parts.h"

enum { JEMALLOC_CLASSES = 232, JEMALLOC_ENTRY = 12 /* bytes, at most */ };

/* Of a release, size of words and size of pages (a constant of the build: 64 KB on Debian's ARM). */
struct jemalloc_row {
	const char *version;
	uint8_t word, page_shift;
	uint8_t fan_bits;    /* log2 of pointers in the root, and of entries in a leaf */
	uint8_t entry_bytes; /* of a leaf's entry: 8, 12; a word where word is 8 */
	uint8_t state_shift, state_bits, class_shift, class_bits, free_bits; /* of an extent's bits */
	uint8_t leaf_low; /* bits of an entry's pointer that are no address */
	uint8_t bitmap;	  /* its offset in an extent */
	bool stack_down;  /* caches: the pointer is to the first block, else behind the last */
};

struct jemalloc {
	struct leak *leak;
	struct leak_allocator *allocator;
	const struct jemalloc_row *row;
	struct reader *reader;
	taddr_t root;
	uint64_t sizes[JEMALLOC_CLASSES];
	taddr_t leaf_begin;  /* the leaf that is read */
	uint64_t number;     /* and which one it is */
	bool sampling;
	unsigned good, bad, looked; /* of a sample */
	VEC(taddr_t) stacks; /* arrays of thread caches */
	struct leak_arena arena; /* all of them */
};

/* Of a leaf. */
struct jemalloc_entry {
	taddr_t extent;
	unsigned class;
	bool slab;
};

struct jemalloc_entry jemalloc_entry(const struct jemalloc *j, const uint8_t *bytes);
/* Which leaf an address is of. */
uint64_t jemalloc_leaf(const struct jemalloc *j, taddr_t addr);
/* Does an address lie in pages of jemalloc's?  And of which extent. */
bool jemalloc_page(struct jemalloc *j, taddr_t addr, struct jemalloc_entry *ret);
/* Takes the blocks in threads' caches away again, and the caches' arrays: 0, -ENOMEM. */
int jemalloc_caches_drop(struct jemalloc *j);

#endif
