/*
 * A64 code being written for a place where it will stand later.  Running out of room or
 * of a branch's reach is remembered, so that a writer asks once at the end.
 */
#ifndef MEMTRACE_AARCH64_ENCODE_H
#define MEMTRACE_AARCH64_ENCODE_H

#include "base/types.h"

enum { A64_SCRATCH = 16 }; /* x16, IP0: holds nothing at a function's entry */

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

static inline void encode(struct encoder *e, uint32_t code)
{
	if (e->room - e->len < 4) {
		e->full = true;
		return;
	}
	for (int i = 0; i < 4; i++)
		e->bytes[e->len++] = (uint8_t)(code >> (8 * i));
}

/* The distance from here as a field of so many bits at `low`, in units of 4 bytes. */
static inline uint32_t encode_distance(struct encoder *e, taddr_t target, unsigned low,
				       unsigned bits)
{
	int64_t rel = (int64_t)(target - encode_here(e)) / 4;

	if (rel < -(1ll << (bits - 1)) || rel >= 1ll << (bits - 1))
		e->out_of_reach = true;
	return ((uint32_t)rel & ((1u << bits) - 1)) << low;
}

static inline void encode_b(struct encoder *e, taddr_t target)
{
	encode(e, 0x14000000 | encode_distance(e, target, 0, 26));
}

static inline void encode_bl(struct encoder *e, taddr_t target)
{
	encode(e, 0x94000000 | encode_distance(e, target, 0, 26));
}

/* adrp reg, target's page */
static inline void encode_adrp(struct encoder *e, unsigned reg, taddr_t target)
{
	int64_t pages = (int64_t)((target >> 12) - (encode_here(e) >> 12));
	uint32_t value = (uint32_t)pages;

	if (pages < -(1 << 20) || pages >= 1 << 20)
		e->out_of_reach = true;
	encode(e, 0x90000000 | (value & 3) << 29 | (value >> 2 & 0x7ffff) << 5 | reg);
}

/* adrp and add: reg = target */
static inline void encode_address(struct encoder *e, unsigned reg, taddr_t target)
{
	encode_adrp(e, reg, target);
	encode(e, 0x91000000 | (uint32_t)(target & 0xfff) << 10 | reg << 5 | reg);
}

#endif
