/*
 * First instructions that stay where they are.
 *
 * The kernel puts a uprobe (c.ebreak, two bytes) on a function's first byte without a look at what
 * is there, runs the instruction that the *file* has there elsewhere, and goes on behind it: see
 * x86_64/stay.c.  Were our patch there, the call would not be seen; behind an instruction of 16 bits
 * the thread would be in the middle of the patch; and when the uprobe goes, two bytes of the file
 * come back in front of the other half of a patch.  So that comes behind the first instruction:
 *
 *    function:  c.addi16sp sp, -32 | jal x0, stub | ...
 *    stub:      addi sp, sp, 32; ...; copy: c.addi16sp sp, -32; ...
 *
 * It is executed twice, then: it lowers sp, which the stub takes back; or it writes to a register
 * that the tracer does not read, and that it does not read itself (malloc's auipc a5); or it is
 * free's c.beqz a0, of which nobody follows the way that it goes with nothing to free.  Others have
 * the patch in front.
 */
#include "arch/riscv64/insn.h"
#include "arch/riscv64/riscv64.h"

enum { SP = 2, T0 = 5, T2 = 7, A0 = 10, A4 = 14, A7 = 17, T3 = 28 };
enum { MOST_TAKEN_BACK = 2047 }; /* by one addi */

static bool is_scratch(unsigned reg)
{
	return (reg >= T0 && reg <= T2) || (reg >= A4 && reg <= A7) || reg >= T3;
}

/* The Instruction Set Manual I, 27.8: quadrants 0 to 2 by funct3. */
static bool repeats_short(unsigned code)
{
	unsigned reg = code >> 7 & 31, other = code >> 2 & 31;
	unsigned short_reg = 8 + (code >> 2 & 7), short_base = 8 + (code >> 7 & 7);

	switch ((code >> 13 & 7) << 2 | (code & 3)) {
	case 2 << 2 | 0: /* c.lw */
	case 3 << 2 | 0: /* c.ld */
		return is_scratch(short_reg) && short_reg != short_base;
	case 2 << 2 | 1: /* c.li */
	case 3 << 2 | 1: /* c.lui */
	case 2 << 2 | 2: /* c.lwsp */
	case 3 << 2 | 2: /* c.ldsp */
		return is_scratch(reg);
	case 4 << 2 | 2: /* c.mv; 1 << 12: c.add */
		return !(code & 1 << 12) && other && is_scratch(reg) && reg != other;
	}
	return false;
}

/* (35) */
static bool repeats_long(uint32_t code)
{
	unsigned reg = code >> 7 & 31, base = code >> 15 & 31;

	switch (code & 0x7f) {
	case 0x17: /* auipc */
	case 0x37: /* lui */
		return is_scratch(reg);
	case 0x03: /* loads */
	case 0x13: /* addi and its like */
		return is_scratch(reg) && reg != base;
	case 0x33: /* arithmetic of two registers */
	case 0x3b:
		return is_scratch(reg) && reg != base && reg != (code >> 20 & 31);
	}
	return false;
}

unsigned riscv64_overwrites(const uint8_t *code, size_t len)
{
	struct rv_insn insn;
	unsigned bits;

	if (!rv_decode(code, len, &insn))
		return 0;
	if (insn.len == RV_LEN)
		return repeats_long(rv_read(code)) ? rv_read(code) >> 7 & 31 : 0;
	bits = code[0] | (unsigned)code[1] << 8;
	if (!repeats_short(bits))
		return 0;
	return bits & 3 ? bits >> 7 & 31 : 8 + (bits >> 2 & 7); /* (quadrant 0: c.lw, c.ld) */
}

bool riscv64_can_stay(const uint8_t *code, size_t len, bool nothing_for_0, uint32_t *stays,
		      uint32_t *lowered)
{
	struct rv_insn insn;

	if (!rv_decode(code, len, &insn))
		return false;
	*stays = insn.len;
	*lowered = 0;
	if (insn.kind == RV_ADD && insn.reg == SP && insn.base == SP && insn.value < 0 &&
	    -insn.value <= MOST_TAKEN_BACK)
		*lowered = (uint32_t)-insn.value;
	if (insn.kind == RV_BRANCH) /* beqz a0 */
		return nothing_for_0 && !insn.condition && insn.base == A0 && !insn.other;
	return *lowered || insn.kind == RV_NOP ||
	       (insn.len == RV_LEN ? repeats_long(rv_read(code))
				   : repeats_short(code[0] | (unsigned)code[1] << 8));
}
