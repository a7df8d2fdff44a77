/* A memory as memtrace and an agent share it, between two pages that nobody may touch. */
#ifndef MEMTRACE_SHARED_CASE_H
#define MEMTRACE_SHARED_CASE_H

#include <stdint.h>
#include <sys/mman.h>

#include "region/shared.h"

enum { SHARED_CASE_GUARD = 1 << 16 };

/* False: not so much can be had here (32 bits, limits). */
static inline bool shared_case_begin(struct shared *ret, uint32_t pieces, uint32_t shift,
				     uint32_t depth)
{
	size_t bytes = (size_t)shared_bytes(pieces);
	uint8_t *base = mmap(NULL, bytes + 2 * SHARED_CASE_GUARD, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return false;
	*ret = (struct shared){base + SHARED_CASE_GUARD, pieces, shift};
	return !mprotect(ret->base, bytes, PROT_READ | PROT_WRITE) && shared_init(ret, depth);
}

static inline void shared_case_end(struct shared *shared)
{
	munmap(shared->base - SHARED_CASE_GUARD,
	       (size_t)shared_bytes(shared->pieces) + 2 * SHARED_CASE_GUARD);
}

#endif
