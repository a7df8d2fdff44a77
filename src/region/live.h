/*
 * Live blocks by address, for many writers without locks.
 *
 *    address  | which chunk (hashed directory) | which entry, 13 bits | low, `shift` bits |
 *    entry    | context 21 bits | age 6 bits | low 5 bits | size 32 bits |     0: no block
 *    size     | 0 | 31 bits |    or of a sample (sample.h)    | 1 | level 5 bits | 26 bits |
 *
 * The allocator orders all that happens to one entry: it is cleared before the real free runs,
 * and written after the real malloc has returned.  So an entry needs no lock.
 * Blocks that lie closer than 1 << shift share an entry: the second one is not kept, and the
 * low bits tell whose it is.
 * The age is a label: the one that memtrace has told when the block came.  What it means memtrace
 * knows (capture/ages.h), which changes it, too.
 */
#ifndef MEMTRACE_LIVE_H
#define MEMTRACE_LIVE_H

#include "region/shared.h"

#define LIVE_MAX_SIZE ((1ull << 31) - 1)
/* The block is kept elsewhere, by memtrace: whoever frees it goes the slow way. */
#define LIVE_ELSEWHERE ((1u << 21) - 1)

enum { LIVE_AGES = 64 };

struct live_block {
	uint64_t addr, size;
	uint32_t context, age;
	uint32_t level; /* of the sample that it is of, where it stands for more than itself; else 0 */
	uint64_t *entry; /* where it is noted */
};

/* Where the block can be noted; NULL: its place is taken, it is too large, or there is no room.
 * Nothing is changed but for room that is made. */
uint64_t *live_place(const struct shared *shared, uint64_t addr, uint64_t size);

/* The block is noted, at live_place()'s; false: another one, too close to it, has come there.
 * context: 1 .. LIVE_ELSEWHERE. */
bool live_note(const struct shared *shared, uint64_t *place, uint64_t addr, uint32_t context,
	       uint64_t size);
/* The same, of a block that has an age, and may be of a sample. */
bool live_note_aged(const struct shared *shared, uint64_t *place, const struct live_block *block);

/* False: it is not there. */
bool live_find(const struct shared *shared, uint64_t addr, struct live_block *ret);

/* The block, as it was found, is there no more. */
void live_remove(const struct live_block *block);

/* Every block that is there, in no order; while others write: each as it was at some moment. */
void live_for_each(const struct shared *shared,
		   void (*visit)(void *arg, const struct live_block *block), void *arg);

/* The age of each block that was there becomes to[it], while others write. */
void live_ages_change(const struct shared *shared, const uint8_t to[LIVE_AGES]);

#endif
