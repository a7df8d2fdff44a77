/*
 * Births: of every context, how many of its blocks in use were allocated in which generation.
 */
#ifndef MEMTRACE_BIRTHS_H
#define MEMTRACE_BIRTHS_H

#include "base/vec.h"
#include "heap/generations.h"

/* A block in use, as who has the table of them hands it out: it was allocated from one tick to another,
 * both of them included. */
struct block_birth {
	uint32_t context, first, last;
};
VEC_TYPE(birth_list, struct block_birth);

/* One more than there are generations: the one that has not ended. */
enum { BIRTHS_MAX = GENERATIONS_MAX + 1 };

struct births {
	uint32_t context_count;
	uint32_t *row_of; /* by context: its row + 1; 0: nothing in use */
	uint32_t (*rows)[BIRTHS_MAX];
	uint32_t row_count;
};

/* Of one context: those of its blocks in use that were allocated in a span of time; those of whom
 * it can't be told, as it begins or ends in a tick in which they may have been allocated; and all whose age is
 * known. */
struct births_span {
	uint32_t sure, unsure, all;
};

enum { BIRTHS_EVER = -1 };

/* By context, malloc'ed, for blocks allocated from the ticks `from` to the ticks `to`; BIRTHS_EVER: it
 * does not begin, or end.  -ENOMEM. */
int births_in_span(const struct birth_list *blocks, int64_t from, int64_t to,
		   uint32_t context_count, struct births_span **ret, struct err *err) MUST_CHECK;

/* -ENOMEM. */
int births_create(const struct generations *g, const struct birth_list *blocks,
		  uint32_t context_count, struct births *ret, struct err *err) MUST_CHECK;
void births_deinit(struct births *births);

/*
 * As bytes, malloc'ed, for a file: of each context with blocks in use, by id, in LEB128: id less
 * the one before (the first: id + 1), a bit for each generation that bore some, how many for
 * each bit.  -ENOMEM.
 */
int births_encode(const struct births *births, uint8_t **bytes, size_t *len) MUST_CHECK;
/* From those, of contexts and generations as many.  -EINVAL: they are none; -ENOMEM. */
int births_decode(const uint8_t *bytes, size_t len, uint32_t context_count,
		  size_t generations, struct births *ret) MUST_CHECK;

/* By generation, BIRTHS_MAX of them; of a context that has none in use, all zero. */
const uint32_t *births_of(const struct births *births, uint32_t context);

#endif
