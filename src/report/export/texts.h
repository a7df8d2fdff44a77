/*
 * Distinct runs of bytes, numbered in the order in which they first came: string tables, and
 * tables of whatever is made a key of (a function is the numbers of its name and file).
 */
#ifndef MEMTRACE_TEXTS_H
#define MEMTRACE_TEXTS_H

#include "base/vec.h"

struct text_at {
	size_t begin, len;
};

struct texts { /* zeroed = empty */
	VEC(char) bytes;
	VEC(struct text_at) at; /* by number */
	uint32_t *slots;	/* by hash: number + 1; 0: free */
	uint32_t mask;		/* slots - 1; 0: none */
};

/* Its number, old or new.  False: no memory. */
bool texts_add(struct texts *texts, const void *bytes, size_t len, uint32_t *ret);

/* Bytes of number i < texts->at.len; not terminated; until the next addition. */
const char *texts_bytes(const struct texts *texts, uint32_t i, size_t *len);

void texts_deinit(struct texts *texts);

#endif
