/*
 * Which allocations count, where not all do: Poisson sampling by bytes.
 *
 *    bytes that a thread allocates  ----x--------------x-x-----------------x---->
 *    allocations                    |--||----|-|--||-----|----------|-|--------|
 *                                        ^            ^                      ^   candidates
 *
 * Points lie on them at random, one of each 1 << level bytes on average, without memory.  An
 * allocation with one is a candidate: p = 1 - e^(-size / 2^level).  So that each that counts stands
 * for a whole number of its size, n = the next one above 1 / p, a candidate counts with the chance
 * 1 / (n p): any allocation counts with the chance 1 / n, as n.  The sums are what all would
 * be, on average (Horvitz and Thompson 1952): no rounding, and no bias.
 *
 * Allocations of 1 << level bytes and more count always, as one.  n follows from size and level alone,
 * so a free takes away what its allocation has added.
 *
 * Integers only; the points are drawn by comparisons (von Neumann 1951), with 64 bits.
 */
#ifndef MEMTRACE_SAMPLE_H
#define MEMTRACE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SAMPLE_MOST = 26, /* level: a point each 64 MB.  0: all count */
	SAMPLE_WEIGHTS = 15, /* n is at most 1 << 15, and one: smaller ones have the chance of that */
};

struct sampler {	   /* of a thread; zeroed at first */
	uint64_t left;	   /* bytes to the next point */
	uint64_t state;	   /* of the random numbers */
	uint32_t level;	   /* that left is for; 0: it is not drawn yet */
	uint32_t reserved;
};

/* n; 1 for what always counts.  Any level. */
uint32_t sample_weight(unsigned level, uint64_t size);

/* The thread allocates so much: does that count?  level: 1 .. SAMPLE_MOST; seed: of this thread, for its
 * first. */
bool sample_takes(struct sampler *sampler, unsigned level, uint64_t size, uint64_t seed);

/* Of an allocation that does not count: is it the outer half of the call that has returned the same address to
 * the same thread, with nothing in between, from deeper on the stack (slot: where a call's return address lies)? */
static inline bool sample_is_outer(uint64_t last_alloc, uint64_t last_slot, uint64_t addr, uint64_t slot)
{
	return last_alloc == addr && last_slot && last_slot < slot;
}

/* Those that always count. */
static inline bool sample_is_whole(unsigned level, uint64_t size)
{
	return !level || level > SAMPLE_MOST || size >> level;
}

#endif
