/*
 * Memory that remembers what was read of another one, so that the same reads can be
 * answered where the other one is not: the parts of a library that a walk needs.
 */
#ifndef MEMTRACE_RECORDING_H
#define MEMTRACE_RECORDING_H

#include <stdio.h>

#include "base/memory.h"
#include "base/vec.h"

struct recorded {
	uint64_t begin, len;
	uint8_t *bytes;
};

struct recording {
	struct memory memory;
	struct memory *behind; /* asked for what is not here yet; NULL: nothing else is there */
	taddr_t base;	       /* recording are kept by addr - base */
	VEC(struct recorded) list; /* ascending, with gaps between them */
};

void recording_init(struct recording *recording, struct memory *behind, taddr_t base);
void recording_deinit(struct recording *recording);

/* Adds bytes at begin (relative to base), over what is there.  -ENOMEM, -EINVAL. */
int recording_add(struct recording *recording, uint64_t begin, const void *bytes, uint64_t len);

/* Writes {u64 begin, u64 len, bytes} for each, little-endian, ascending. */
void recording_write(const struct recording *recording, FILE *out);

#endif
