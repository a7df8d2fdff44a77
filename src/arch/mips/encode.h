/* MIPS code being written, in this machine's order of bytes. */
#ifndef MEMTRACE_MIPS_ENCODE_H
#define MEMTRACE_MIPS_ENCODE_H

#include "arch/encode.h"

enum { /* registers, by their numbers */
       MIPS_ZERO = 0,
       MIPS_AT = 1,
       MIPS_V0 = 2,
       MIPS_V1 = 3,
       MIPS_A0 = 4,
       MIPS_A1 = 5,
       MIPS_A2 = 6,
       MIPS_A3 = 7,
       MIPS_T9 = 25,
       MIPS_GP = 28,
       MIPS_SP = 29,
       MIPS_RA = 31,
};

#define MIPS_SW(reg, offset)	 (0xafa00000u | (uint32_t)(reg) << 16 | (offset)) /* to sp + offset */
#define MIPS_LW(reg, offset)	 (0x8fa00000u | (uint32_t)(reg) << 16 | (offset))
#define MIPS_ADD_SP(distance)	 (0x27bd0000u | ((uint32_t)(distance) & 0xffff))
#define MIPS_LI(reg, value)	 (0x24000000u | (uint32_t)(reg) << 16 | (value)) /* below 0x8000 */
#define MIPS_LUI(reg, upper)	 (0x3c000000u | (uint32_t)(reg) << 16 | (upper))
#define MIPS_ORI(reg, lower)	 (0x34000000u | (uint32_t)(reg) << 21 | (uint32_t)(reg) << 16 | (lower))
#define MIPS_MOVE(to, from)	 (0x00000025u | (uint32_t)(from) << 21 | (uint32_t)(to) << 11)

enum {
	MIPS_SYSCALL = 0x0000000c,
	MIPS_JR_RA = 0x03e00008,
};

static inline void encode_word(struct encoder *e, uint32_t word)
{
	encode_bytes(e, (const uint8_t *)&word, sizeof(word));
}

/* In the same 256 MB as what is behind it, its delay slot. */
static inline void encode_j(struct encoder *e, taddr_t target)
{
	if ((target ^ (encode_here(e) + 4)) >> 28)
		e->out_of_reach = true;
	encode_word(e, 0x08000000 | ((uint32_t)target >> 2 & 0x3ffffff));
}

static inline void encode_bal(struct encoder *e, taddr_t target)
{
	int64_t words = (int64_t)(target - (encode_here(e) + 4)) / 4;

	if (words < INT16_MIN || words > INT16_MAX)
		e->out_of_reach = true;
	encode_word(e, 0x04110000 | (uint16_t)words);
}

/* reg = value */
static inline void encode_li(struct encoder *e, uint32_t reg, uint32_t value)
{
	encode_word(e, MIPS_LUI(reg, value >> 16));
	encode_word(e, MIPS_ORI(reg, value & 0xffff));
}

#endif
