/*
 * Bytes of code being written for a place where they will stand later.  Running out
 * of room or of a rel32's reach is remembered, so that a writer asks once at the end.
 */
#ifndef MEMTRACE_X86_64_ENCODE_H
#define MEMTRACE_X86_64_ENCODE_H

#include <string.h>

#include "base/types.h"

struct encoder {
	uint8_t *bytes;
	size_t room, len;
	taddr_t base; /* where bytes[0] will stand */
	bool full;    /* more was written than there is room for */
	bool out_of_reach;
};

static inline taddr_t encode_here(const struct encoder *e)
{
	return e->base + e->len;
}

static inline void encode_bytes(struct encoder *e, const uint8_t *bytes, size_t len)
{
	if (len > e->room - e->len) {
		e->full = true;
		return;
	}
	memcpy(e->bytes + e->len, bytes, len);
	e->len += len;
}

static inline void encode_u32(struct encoder *e, uint32_t value)
{
	const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
				  (uint8_t)(value >> 24)};

	encode_bytes(e, bytes, sizeof(bytes));
}

/* The displacement to target, for a field whose instruction ends `behind` bytes after it. */
static inline void encode_rel32(struct encoder *e, taddr_t target, size_t behind)
{
	int64_t rel = (int64_t)(target - (encode_here(e) + 4 + behind));

	if (rel != (int32_t)rel)
		e->out_of_reach = true;
	encode_u32(e, (uint32_t)rel);
}

static inline void encode_jmp(struct encoder *e, taddr_t target)
{
	encode_bytes(e, (const uint8_t[]){0xe9}, 1);
	encode_rel32(e, target, 0);
}

static inline void encode_call(struct encoder *e, taddr_t target)
{
	encode_bytes(e, (const uint8_t[]){0xe8}, 1);
	encode_rel32(e, target, 0);
}

static inline void encode_jcc(struct encoder *e, uint8_t condition, taddr_t target)
{
	encode_bytes(e, (const uint8_t[]){0x0f, (uint8_t)(0x80 | condition)}, 2);
	encode_rel32(e, target, 0);
}

#endif
