/*
 * Memory that remembers what was read of another one, so that the same reads can be
 * answered where the other one is not: the parts of a library that a walk needs.
 */
#ifndef MEMTRACE_PIECES_H
#define MEMTRACE_PIECES_H

#include <stdio.h>

#include "base/memory.h"
#include "base/vec.h"

struct piece {
	uint64_t begin, len;
	uint8_t *bytes;
};

struct pieces {
	struct memory memory;
	struct memory *behind; /* asked for what is not here yet; NULL: nothing else is there */
	taddr_t base;	       /* pieces are kept by addr - base */
	VEC(struct piece) list; /* ascending, with gaps between them */
};

void pieces_init(struct pieces *pieces, struct memory *behind, taddr_t base);
void pieces_deinit(struct pieces *pieces);

/* Adds bytes at begin (relative to base), over what is there.  -ENOMEM, -EINVAL. */
int pieces_add(struct pieces *pieces, uint64_t begin, const void *bytes, uint64_t len);

/* Writes {u64 begin, u64 len, bytes} for each, little-endian, ascending. */
void pieces_write(const struct pieces *pieces, FILE *out);

#endif
