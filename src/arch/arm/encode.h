/*
 * A32 and T32 instructions being written.  One of A32, or a literal, is encode_u32().
 */
#ifndef MEMTRACE_ARM_ENCODE_H
#define MEMTRACE_ARM_ENCODE_H

#include "arch/encode.h"

static inline void encode_u16(struct encoder *e, uint32_t value)
{
	const uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};

	encode_bytes(e, bytes, sizeof(bytes));
}

/* A T32 instruction of 32 bits: its first halfword comes first. */
static inline void encode_t32(struct encoder *e, uint32_t value)
{
	encode_u16(e, value >> 16);
	encode_u16(e, value);
}

/* The distance for a branch here, whose pc reads as `ahead` more; checked for bits + sign. */
static inline uint32_t encode_distance(struct encoder *e, taddr_t target, unsigned ahead,
				       unsigned bits)
{
	int64_t distance = (int64_t)(target - (encode_here(e) + ahead));

	if (distance < -(1ll << bits) || distance >= 1ll << bits)
		e->out_of_reach = true;
	return (uint32_t)distance;
}

/* b, bl: insn = condition and opcode, as 0xea000000. */
static inline void encode_a32_branch(struct encoder *e, uint32_t insn, taddr_t target)
{
	encode_u32(e, insn | (encode_distance(e, target, 8, 25) >> 2 & 0xffffff));
}

/* blx to T32 code. */
static inline void encode_a32_blx(struct encoder *e, taddr_t target)
{
	uint32_t distance = encode_distance(e, target, 8, 25);

	encode_u32(e, 0xfa000000 | (distance & 2) << 23 | (distance >> 2 & 0xffffff));
}

/* b.w */
static inline void encode_t32_branch(struct encoder *e, taddr_t target)
{
	uint32_t distance = encode_distance(e, target, 4, 24);
	uint32_t s = distance >> 31, i1 = distance >> 23 & 1, i2 = distance >> 22 & 1;

	encode_t32(e, 0xf0009000 | s << 26 | (distance >> 12 & 0x3ff) << 16 |
			      (i1 ^ s ^ 1) << 13 | (i2 ^ s ^ 1) << 11 |
			      (distance >> 1 & 0x7ff));
}

#endif
