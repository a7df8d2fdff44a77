/*
 * Code being written for the address that it will have later: what every CPU's encode.h
 * begins with.  Running out of room, or of a branch's reach, is remembered, so that a
 * writer asks once at the end.
 */
#ifndef MEMTRACE_ARCH_ENCODE_H
#define MEMTRACE_ARCH_ENCODE_H

#include <string.h>

#include "base/types.h"

struct encoder {
	uint8_t *bytes;
	size_t room, len;
	taddr_t base; /* of bytes[0], later */
	bool full;    /* more was written than there is room for */
	bool out_of_reach;
};

static inline taddr_t encode_here(const struct encoder *e)
{
	return e->base + e->len;
}

static inline void encode_bytes(struct encoder *e, const uint8_t *bytes, size_t len)
{
	if (e->len > e->room || len > e->room - e->len) {
		e->full = true;
		return;
	}
	memcpy(e->bytes + e->len, bytes, len);
	e->len += len;
}

/* Little-endian, as code is on all of our CPUs but MIPS, which has an encode_word(). */
static inline void encode_u32(struct encoder *e, uint32_t value)
{
	const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
				  (uint8_t)(value >> 24)};

	encode_bytes(e, bytes, sizeof(bytes));
}

static inline void encode_u64(struct encoder *e, uint64_t value)
{
	encode_u32(e, (uint32_t)value);
	encode_u32(e, (uint32_t)(value >> 32));
}

#endif
