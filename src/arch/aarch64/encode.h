/* A64 code being written; an instruction, or half a literal, is encode_u32(). */
#ifndef MEMTRACE_AARCH64_ENCODE_H
#define MEMTRACE_AARCH64_ENCODE_H

#include "arch/encode.h"

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
	encode_u32(e, 0x14000000 | encode_distance(e, target, 0, 26));
}

static inline void encode_bl(struct encoder *e, taddr_t target)
{
	encode_u32(e, 0x94000000 | encode_distance(e, target, 0, 26));
}

/* adrp reg, target's page */
static inline void encode_adrp(struct encoder *e, unsigned reg, taddr_t target)
{
	int64_t pages = (int64_t)((target >> 12) - (encode_here(e) >> 12));
	uint32_t value = (uint32_t)pages;

	if (pages < -(1 << 20) || pages >= 1 << 20)
		e->out_of_reach = true;
	encode_u32(e, 0x90000000 | (value & 3) << 29 | (value >> 2 & 0x7ffff) << 5 | reg);
}

/* adrp and add: reg = target */
static inline void encode_address(struct encoder *e, unsigned reg, taddr_t target)
{
	encode_adrp(e, reg, target);
	encode_u32(e, 0x91000000 | (uint32_t)(target & 0xfff) << 10 | reg << 5 | reg);
}

#endif
