/* How two numbers are ordered, as qsort() and bsearch() ask: below 0, 0, above 0.  The larger
 * one first: with the two exchanged. */
#ifndef MEMTRACE_ORDER_H
#define MEMTRACE_ORDER_H

#include <stdint.h>

static inline int order_u64(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

#endif
