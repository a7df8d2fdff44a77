/*
 * The set of blocks, and the block of any address, in constant time and some two bytes a block:
 * a bit per granule (the alignment of blocks: 16 bytes, 8 where a word has 4), and per 32 of
 * them the number of blocks before.
 *
 *   address -> top[] -> mid[] -> section of 65536 granules: cells of { 32 bits, rank }
 *
 * Bits are set and cleared while blocks are enumerated in any order; index_seal() counts.
 */
#ifndef MEMTRACE_LEAK_INDEX_H
#define MEMTRACE_LEAK_INDEX_H

#include "base/vec.h"

enum {
	INDEX_CELLS = 2048, /* of a section */
	INDEX_GRANULES = INDEX_CELLS * 32,
	INDEX_RADIX = 14, /* bits of a section's number that a middle has */
	INDEX_FAN = 1 << INDEX_RADIX,
	INDEX_TOP = INDEX_FAN * 2, /* so that addresses have 48 bits with granules of 8 bytes, too */
};

struct index_cell {
	uint32_t bits, rank; /* rank: blocks before it; since sealed */
};

struct index_section {
	taddr_t base;
	uint32_t first; /* rank of its first cell; since sealed */
	struct index_cell *cells;
};

struct index {
	unsigned shift;		   /* of a granule */
	taddr_t low, high;	   /* of all blocks: first address, last begin */
	uint32_t *mids[INDEX_TOP]; /* 1 + number of a section; INDEX_COVERED; 0: none */
	VEC(struct index_section) sections; /* ascending since sealed */
	uint32_t count;			    /* since sealed */
	uint64_t bytes;			    /* that it holds */
};

/* In a middle: no block begins here, but one of an earlier section may reach here: 1 + that. */
#define INDEX_COVERED 0x80000000u

void index_init(struct index *index, unsigned granule);
void index_deinit(struct index *index);

/* 0, -EEXIST: it is in; -EINVAL: no address for it; -ENOMEM. */
int index_add(struct index *index, taddr_t addr);
/* Was it in? */
bool index_remove(struct index *index, taddr_t addr);
bool index_has(const struct index *index, taddr_t addr);

/* Counts; from then on nothing may be added or removed. */
void index_seal(struct index *index);
/* Notes that block number `block`, at addr, reaches to end (where that is far).  False: no
 * memory. */
bool index_cover(struct index *index, taddr_t addr, taddr_t end);

/* (CPUs of the base level of x86-64 and ARM have no instruction for it) */
static inline uint32_t index_popcount(uint32_t x)
{
	x -= x >> 1 & 0x55555555;
	x = (x & 0x33333333) + (x >> 2 & 0x33333333);
	return ((x + (x >> 4)) & 0x0f0f0f0f) * 0x01010101 >> 24;
}

/* Asks the CPU to bring what index_find() of addr will need. */
static inline void index_prefetch(const struct index *index, taddr_t addr)
{
	taddr_t number = addr >> (index->shift + 16);
	const uint32_t *mid;
	uint32_t entry;

	if (number >> INDEX_RADIX >= INDEX_TOP || !(mid = index->mids[number >> INDEX_RADIX]) ||
	    !(entry = mid[number & (INDEX_FAN - 1)]) || entry & INDEX_COVERED)
		return;
	__builtin_prefetch(&index->sections.at[entry - 1]
				    .cells[(addr >> index->shift & (INDEX_GRANULES - 1)) / 32]);
}

/* Address of block number `block` < count.  O(log n). */
taddr_t index_addr(const struct index *index, uint32_t block);

/* After sealing.  The last block that begins at addr or before it: its number, and where it
 * begins; UINT32_MAX: none nearby. */
static inline uint32_t index_find(const struct index *index, taddr_t addr, taddr_t *begin)
{
	taddr_t number = addr >> (index->shift + 16);
	const uint32_t *mid;
	const struct index_section *section;
	const struct index_cell *cell;
	uint32_t entry, offset, bits, block;

	if (number >> INDEX_RADIX >= INDEX_TOP || !(mid = index->mids[number >> INDEX_RADIX]) ||
	    !(entry = mid[number & (INDEX_FAN - 1)]))
		return UINT32_MAX;
	section = &index->sections.at[(entry & ~INDEX_COVERED) - 1];
	if (entry & INDEX_COVERED) {
		/* (its last block: the one before the next section's first) */
		block = (section + 1 < index->sections.at + index->sections.len
				 ? section[1].first
				 : index->count) -
			1;
		*begin = index_addr(index, block);
		return block;
	}
	offset = (uint32_t)(addr >> index->shift) & (INDEX_GRANULES - 1);
	cell = &section->cells[offset / 32];
	bits = cell->bits & ((2u << (offset % 32)) - 1);
	block = cell->rank + index_popcount(bits) - 1;
	if (bits)
		*begin = section->base +
			 ((taddr_t)((offset & ~31u) + 31 - (unsigned)__builtin_clz(bits))
			  << index->shift);
	else if (block != UINT32_MAX)
		*begin = index_addr(index, block);
	return block;
}

/* Blocks in ascending order. */
struct index_walk {
	const struct index *index;
	size_t section;
	uint32_t cell, bits;
};
void index_walk_init(struct index_walk *walk, const struct index *index);
bool index_walk_next(struct index_walk *walk, taddr_t *ret);

#endif
