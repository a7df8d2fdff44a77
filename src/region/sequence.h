/*
 * Counters that one writes while others read: a sequence lock.
 *
 *    writer   s odd | fields ...          | s even
 *    reader   s even? | fields, copied    | s as it was?   else once more
 *
 * The writer never waits.  A reader that has tried SEQUENCE_TRIES times gives up: a writer that
 * died in between leaves s odd.  The next writer's begin and end put that right.
 */
#ifndef MEMTRACE_SEQUENCE_H
#define MEMTRACE_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEQUENCE_TRIES = 1000 };

static inline void sequence_begin(uint32_t *sequence)
{
	__atomic_store_n(sequence, (*sequence + 1) | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void sequence_end(uint32_t *sequence)
{
	__atomic_store_n(sequence, (*sequence | 1) + 1, __ATOMIC_RELEASE);
}

/* Copies `bytes` (a multiple of 4) that change under the sequence; *seen (may be NULL): its
 * value.  False: they never stood still. */
static inline bool sequence_copy(const uint32_t *sequence, void *to, const void *from,
				 size_t bytes, uint32_t *seen)
{
	const uint32_t *word = from;
	uint32_t *copy = to;

	for (int i = 0; i < SEQUENCE_TRIES; i++) {
		uint32_t before = __atomic_load_n(sequence, __ATOMIC_ACQUIRE);

		for (size_t n = 0; n < bytes / sizeof(*word); n++)
			copy[n] = __atomic_load_n(&word[n], __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (before % 2 == 0 && __atomic_load_n(sequence, __ATOMIC_RELAXED) == before) {
			if (seen)
				*seen = before;
			return true;
		}
	}
	return false;
}

#endif
