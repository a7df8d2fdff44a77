/*
 * What a MIPS instruction has to do with its place.
 *
 * The upper 6 bits are the opcode, and those that refer to the pc are few:
 *
 *    000010 index26              j          000011 index26       jal       011101 index26  jalx
 *    0001xx rs rt offset16       beq, bne, blez, bgtz            0101xx .. offset16        likely
 *    000001 rs 0xxxx offset16    bltz, bgez ...                  000001 rs 100xx offset16  .. al
 *    01000x 01000 cc offset16    bc1f, bc1t, bc2f ...
 *    000000 rs 0 .. 001000       jr         000000 rs 0 rd .. 001001       jalr
 *
 * Release 6 has given other meanings to opcodes, and is not traced (arch/native.h).
 *
 * Source: MIPS Architecture for Programmers, volume II-A, release 5, appendix A.
 */
#include "arch/mips/insn.h"

enum {
	SPECIAL = 0,
	REGIMM = 1,
	J = 2,
	JAL = 3,
	BEQ = 4,
	BGTZ = 7,
	COP1 = 0x11,
	COP2 = 0x12,
	BEQL = 0x14,
	BGTZL = 0x17,
	SPECIAL2 = 0x1c,
	JALX = 0x1d,
	PC_RELATIVE = 0x3b, /* of release 6: addiupc ... */

	/* of SPECIAL and SPECIAL2, the lowest 6 bits */
	JR = 8,
	JALR = 9,
	BREAK = 0xd,
	SDBBP = 0x3f,

	/* of REGIMM, rt */
	BGEZ = 1,
	BGEZL = 3,
	BLTZAL = 0x10,
	BGEZALL = 0x13,
	BPOSGE32 = 0x1c,
};

static uint8_t kind_of_regimm(uint32_t rs, uint32_t rt)
{
	if (rt == BGEZ && rs == 0)
		return MIPS_B;
	if (rt <= BGEZL || rt == BPOSGE32)
		return MIPS_BRANCH;
	return rt >= BLTZAL && rt <= BGEZALL ? MIPS_BAL : MIPS_PLAIN;
}

static uint8_t kind_of_special(uint32_t code)
{
	switch (code & 0x3f) {
	case JR:
		return MIPS_JR;
	case JALR:
		return MIPS_JALR;
	case BREAK:
		return MIPS_BREAK;
	}
	return code ? MIPS_PLAIN : MIPS_NOP;
}

static uint8_t kind_of(uint32_t code)
{
	uint32_t opcode = code >> 26, rs = code >> 21 & 31, rt = code >> 16 & 31;

	switch (opcode) {
	case SPECIAL:
		return kind_of_special(code);
	case REGIMM:
		return kind_of_regimm(rs, rt);
	case J:
		return MIPS_J;
	case JAL:
	case JALX:
		return MIPS_JAL;
	case COP1: /* bc1, and MIPS-3D's bc1any2, bc1any4 */
		return rs >= 8 && rs <= 10 ? MIPS_BRANCH : MIPS_PLAIN;
	case COP2:
		return rs == 8 ? MIPS_BRANCH : MIPS_PLAIN;
	case SPECIAL2:
		return (code & 0x3f) == SDBBP ? MIPS_BREAK : MIPS_PLAIN;
	case PC_RELATIVE:
		return MIPS_UNDEFINED;
	}
	if (opcode == BEQ && rs == 0 && rt == 0)
		return MIPS_B;
	return (opcode >= BEQ && opcode <= BGTZ) || (opcode >= BEQL && opcode <= BGTZL)
		       ? MIPS_BRANCH
		       : MIPS_PLAIN;
}

struct mips_insn mips_decode(uint32_t code, taddr_t at)
{
	struct mips_insn insn = {.kind = kind_of(code)};
	uint32_t behind = (uint32_t)at + MIPS_LEN;

	switch (insn.kind) {
	case MIPS_B:
	case MIPS_BRANCH:
	case MIPS_BAL:
		insn.target = behind + ((uint32_t)(int16_t)code << 2);
		insn.target = (uint32_t)insn.target;
		break;
	case MIPS_J:
	case MIPS_JAL:
		insn.target = (behind & 0xf0000000) | (code & 0x3ffffff) << 2;
		break;
	}
	return insn;
}
