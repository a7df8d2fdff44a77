/*
 * First instructions of 16 bits that stay where they are.
 *
 * The kernel puts a uprobe on a function's first byte without a look at what is there, runs the
 * instruction that the *file* has there elsewhere, and goes on behind it: see x86_64/stay.c.
 * Behind one of 32 bits that is behind the patch, too: the call is not seen.  Behind one of 16
 * bits it is the middle of the patch.  So that comes behind such a one:
 *
 *    function:  c.addi16sp sp, -32 | jal x0, stub | ...
 *    stub:      addi sp, sp, 32; ...; copy: c.addi16sp sp, -32; ...
 *
 * It is executed twice, then: it lowers sp, which the stub takes back; or it writes to a register
 * that the tracer does not read, and that it does not read itself.  Others (c.beqz) have the patch
 * in front.
 */
#include "arch/riscv64/insn.h"
#include "arch/riscv64/riscv64.h"

enum { SP = 2, T0 = 5, T2 = 7, A4 = 14, A7 = 17, T3 = 28 };

static bool is_scratch(unsigned reg)
{
	return (reg >= T0 && reg <= T2) || (reg >= A4 && reg <= A7) || reg >= T3;
}

/* The Instruction Set Manual I, 27.8: quadrants 0 to 2 by funct3. */
static bool repeats(unsigned code)
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

bool riscv64_can_stay(const uint8_t *code, size_t len, uint32_t *stays, uint32_t *lowered)
{
	struct rv_insn insn;

	if (!rv_decode(code, len, &insn) || insn.len != RV_SHORT)
		return false;
	*stays = RV_SHORT;
	*lowered = 0;
	if (insn.kind == RV_ADD && insn.reg == SP && insn.value < 0)
		*lowered = (uint32_t)-insn.value;
	return *lowered || insn.kind == RV_NOP || repeats(code[0] | (unsigned)code[1] << 8);
}
