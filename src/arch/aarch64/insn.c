/*
 * What an A64 instruction has to do with its place.
 *
 * All are four bytes, and those that refer to the pc are a handful; the rest is plain.
 *
 *    000101 imm26                      b         100101 imm26               bl
 *    0101010 0 imm19 c cond            b.cond    x011010 o imm19 Rt         cbz, cbnz
 *    b011011 o b40 imm14 Rt            tbz       p immlo 10000 immhi Rd     adr, adrp
 *    opc 011 V 00 imm19 Rt             ldr literal
 *    1101011 ....                      br, blr, ret and their signed kin
 *
 * Arm ARM (DDI 0487), C4.1.
 */
#include "arch/aarch64/insn.h"

static int64_t field(uint32_t code, unsigned low, unsigned bits)
{
	return ((int64_t)((uint64_t)code << (64 - low - bits))) >> (64 - bits);
}

static struct a64_insn decode_register_branch(uint32_t code)
{
	switch (code >> 21 & 0xf) { /* opc */
	case 0x0:		    /* br, braaz */
	case 0x8:		    /* braa */
		return (struct a64_insn){.kind = A64_BR};
	case 0x1: /* blr, blraaz */
	case 0x9: /* blraa */
		return (struct a64_insn){.kind = A64_BLR};
	case 0x2: /* ret, retaa */
	case 0x4: /* eret */
	case 0x5: /* drps */
		return (struct a64_insn){.kind = A64_RET};
	}
	return (struct a64_insn){.kind = A64_UNDEFINED};
}

static struct a64_insn decode_hint(uint32_t code)
{
	switch (code) {
	case 0xd503201f:
		return (struct a64_insn){.kind = A64_NOP};
	case 0xd503233f: /* paciasp */
	case 0xd503237f: /* pacibsp */
		return (struct a64_insn){.kind = A64_PAC};
	case 0xd503241f: /* bti */
	case 0xd503245f: /* bti c */
	case 0xd503249f: /* bti j */
	case 0xd50324df: /* bti jc */
		return (struct a64_insn){.kind = A64_BTI};
	}
	return (struct a64_insn){.kind = A64_PLAIN};
}

struct a64_insn a64_decode(uint32_t code)
{
	int64_t near = field(code, 5, 19) * A64_LEN;

	if ((code & 0x7c000000) == 0x14000000)
		return (struct a64_insn){.kind = code >> 31 ? A64_BL : A64_B,
					 .rel = field(code, 0, 26) * A64_LEN};
	if ((code & 0xff000000) == 0x54000000)
		return (struct a64_insn){.kind = A64_BCOND, .rel = near};
	if ((code & 0x7e000000) == 0x34000000)
		return (struct a64_insn){.kind = A64_CBZ, .rel = near};
	if ((code & 0x7e000000) == 0x36000000)
		return (struct a64_insn){.kind = A64_TBZ, .rel = field(code, 5, 14) * A64_LEN};
	if ((code & 0x1f000000) == 0x10000000) {
		int64_t value = field(code, 5, 19) * 4 + (code >> 29 & 3);
		if (code >> 31)
			return (struct a64_insn){.kind = A64_ADRP, .rel = value * 4096};
		return (struct a64_insn){.kind = A64_ADR, .rel = value};
	}
	if ((code & 0x3b000000) == 0x18000000)
		return (struct a64_insn){.kind = A64_LITERAL, .rel = near};
	if ((code & 0xfe000000) == 0xd6000000)
		return decode_register_branch(code);
	if ((code & 0xfffff01f) == 0xd503201f)
		return decode_hint(code);
	if ((code & 0xffe0001f) == 0xd4200000 || (code & 0xffe0001f) == 0xd4400000)
		return (struct a64_insn){.kind = A64_BREAK};
	if (code >> 16 == 0)
		return (struct a64_insn){.kind = A64_UNDEFINED};
	return (struct a64_insn){.kind = A64_PLAIN};
}
