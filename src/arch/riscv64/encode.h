/* RISC-V code being written; an instruction of 32 bits is encode_u32().  Only such are written:
 * they run on CPUs without the C extension, too. */
#ifndef MEMTRACE_RISCV64_ENCODE_H
#define MEMTRACE_RISCV64_ENCODE_H

#include "arch/encode.h"

enum { RV_X0 = 0, RV_RA = 1, RV_SP = 2, RV_T1 = 6, RV_A0 = 10 };

enum { RV_JAL_REACH = 1 << 20, RV_BRANCH_REACH = 1 << 12 };

static inline void encode_jal(struct encoder *e, unsigned reg, taddr_t target)
{
	int64_t rel = (int64_t)(target - encode_here(e));
	uint32_t value = (uint32_t)rel;

	if (rel < -RV_JAL_REACH || rel >= RV_JAL_REACH || (rel & 1))
		e->out_of_reach = true;
	encode_u32(e, 0x6f | reg << 7 | (value & 0xff000) | (value >> 11 & 1) << 20 |
			      (value >> 1 & 0x3ff) << 21 | (value >> 20 & 1) << 31);
}

static inline bool rv_reaches(taddr_t from, taddr_t to)
{
	int64_t rel = (int64_t)(to - from);

	return rel >= -RV_JAL_REACH && rel < RV_JAL_REACH;
}

static inline void encode_j(struct encoder *e, taddr_t target)
{
	encode_jal(e, RV_X0, target);
}

/* condition: funct3 of beq, bne, blt, bge, bltu, bgeu */
static inline void encode_branch(struct encoder *e, unsigned condition, unsigned reg,
				 unsigned other, taddr_t target)
{
	int64_t rel = (int64_t)(target - encode_here(e));
	uint32_t value = (uint32_t)rel;

	if (rel < -RV_BRANCH_REACH || rel >= RV_BRANCH_REACH || (rel & 1))
		e->out_of_reach = true;
	encode_u32(e, 0x63 | (value >> 11 & 1) << 7 | (value >> 1 & 0xf) << 8 | condition << 12 |
			      reg << 15 | other << 20 | (value >> 5 & 0x3f) << 25 |
			      (value >> 12 & 1) << 31);
}

/* addi reg, base, value: -2048 to 2047 */
static inline void encode_addi(struct encoder *e, unsigned reg, unsigned base, int32_t value)
{
	encode_u32(e, 0x13 | reg << 7 | base << 15 | (uint32_t)value << 20);
}

/* auipc and addi: reg = target */
static inline void encode_address(struct encoder *e, unsigned reg, taddr_t target)
{
	int64_t rel = (int64_t)(target - encode_here(e));
	int64_t upper = (rel + 0x800) & ~(int64_t)0xfff;

	if (upper < INT32_MIN || upper > INT32_MAX)
		e->out_of_reach = true;
	encode_u32(e, 0x17 | reg << 7 | (uint32_t)upper);
	encode_addi(e, reg, reg, (int32_t)(rel - upper));
}

/* auipc and jalr: to target by way of reg, a gigabyte away, too */
static inline void encode_far_j(struct encoder *e, unsigned reg, taddr_t target)
{
	size_t at = e->len;

	encode_address(e, reg, target);
	if (!e->full) /* addi reg, reg, low is jalr x0, low(reg) but for these */
		e->bytes[at + 4] = 0x67, e->bytes[at + 5] &= 0xf0;
}

/* ld reg, offset(sp) */
static inline void encode_load(struct encoder *e, unsigned reg, uint32_t offset)
{
	encode_u32(e, 0x00013003 | reg << 7 | offset << 20);
}

/* sd reg, offset(sp) */
static inline void encode_store(struct encoder *e, unsigned reg, uint32_t offset)
{
	encode_u32(e, 0x00013023 | reg << 20 | (offset & 0x1f) << 7 | (offset >> 5) << 25);
}

#endif
