/* Sorting, and searching what is sorted. */
#ifndef MEMTRACE_ORDER_H
#define MEMTRACE_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* How two numbers are ordered, as qsort() and bsearch() ask: below 0, 0, above 0.  The larger
 * one first: with the two exchanged. */
static inline int order_u64(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

/* A binary search of `count` things: how many come first of which is_before, an expression of
 * their index `i`, is true; it is so of none behind these. */
#define order_count(count, i, is_before)                                                         \
	({                                                                                       \
		size_t low_ = 0, high_ = (count);                                                \
                                                                                                 \
		while (low_ < high_) {                                                           \
			size_t i = low_ + (high_ - low_) / 2;                                    \
                                                                                                 \
			if (is_before)                                                           \
				low_ = i + 1;                                                    \
			else                                                                     \
				high_ = i;                                                       \
		}                                                                                \
		low_;                                                                            \
	})

#endif
