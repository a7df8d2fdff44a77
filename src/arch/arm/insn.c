/*
 * Arm Architecture Reference Manual (DDI 0406C), chapters A5 (A32) and A6 (T32).
 *
 * What matters of an instruction is whether it reads or writes pc.  In A32 pc is one of
 * sixteen registers that nearly any instruction may name, so the classes are gone
 * through by where they keep their registers; in T32 few encodings can.  What is not
 * defined is plain: it is moved as it is, and will fault there as it would have here.
 */
#include "arch/arm/insn.h"

#include <errno.h>

static uint32_t u16_at(const uint8_t *code)
{
	return code[0] | (uint32_t)code[1] << 8;
}

static int32_t signed_bits(uint32_t value, unsigned bits)
{
	return (int32_t)(value << (32 - bits)) >> (32 - bits);
}

static void point(struct insn *ret, enum insn_kind kind, taddr_t base, int64_t offset)
{
	ret->kind = (uint8_t)kind;
	ret->target = (uint32_t)(base + (taddr_t)offset);
}

/* ---- A32 ----------------------------------------------------------------- */

static bool a32_names_pc(uint32_t insn, unsigned at)
{
	return (insn >> at & 15) == ARM_PC;
}

static uint32_t a32_rotated(uint32_t insn)
{
	uint32_t value = insn & 0xff, by = insn >> 7 & 30;

	return by ? value >> by | value << (32 - by) : value;
}

static void a32_data_processing(uint32_t insn, taddr_t at, struct insn *ret)
{
	uint32_t opcode = insn >> 21 & 15;
	bool immediate = insn >> 25 & 1, compares = opcode >= 8 && opcode <= 11;
	bool moves = opcode == 13 || opcode == 15; /* no first operand */
	bool by_register = !immediate && insn >> 4 & 1;
	int64_t number = a32_rotated(insn);

	ret->reg = insn >> 12 & 15;
	if (!moves && a32_names_pc(insn, 16)) {
		ret->kind = INSN_PC;
		if (immediate && ret->reg != ARM_PC && (opcode == 2 || opcode == 4) &&
		    !(insn >> 20 & 1))
			point(ret, INSN_ADDRESS, at + 8, opcode == 4 ? number : -number);
	} else if (!immediate &&
		   (a32_names_pc(insn, 0) || (by_register && a32_names_pc(insn, 8)))) {
		ret->kind = INSN_PC;
	} else if (!compares && ret->reg == ARM_PC) {
		ret->kind = INSN_END;
	} else if (insn == 0xe1a00000) { /* mov r0, r0 */
		ret->kind = INSN_NOP;
	}
}

/* Opcodes of comparisons without S. */
static void a32_miscellaneous(uint32_t insn, struct insn *ret)
{
	switch (insn & 0x0ff000f0) {
	case 0x01200010: /* bx */
	case 0x01200020: /* bxj */
		ret->kind = a32_names_pc(insn, 0) ? INSN_PC : INSN_END;
		break;
	case 0x01200030:
		ret->kind = INSN_CALL;
		break;
	case 0x01200070:
		ret->kind = INSN_BREAK;
		break;
	}
}

/* Loads and stores of one word or byte; `rm`: the offset may be a register. */
static void a32_load_store(uint32_t insn, taddr_t at, struct insn *ret)
{
	bool load = insn >> 20 & 1, up = insn >> 23 & 1, byte = insn >> 22 & 1;
	bool by_register = insn >> 25 & 1;
	int32_t number = (int32_t)(insn & 0xfff);

	ret->reg = insn >> 12 & 15;
	if (a32_names_pc(insn, 16)) {
		ret->kind = INSN_PC;
		if (load && !byte && !by_register && (insn >> 21 & 9) == 8)
			point(ret, INSN_LITERAL, at + 8, up ? number : -number);
	} else if (by_register && a32_names_pc(insn, 0)) {
		ret->kind = INSN_PC;
	} else if (ret->reg == ARM_PC) {
		ret->kind = load ? INSN_END : INSN_PC;
	}
}

static void a32_class_00(uint32_t insn, taddr_t at, struct insn *ret)
{
	if ((insn & 0x0e000090) == 0x90) { /* multiplies, extra loads and stores */
		if (insn & 0x60 && a32_names_pc(insn, 16))
			ret->kind = INSN_PC;
	} else if ((insn & 0x0f900000) == 0x01000000) {
		a32_miscellaneous(insn, ret);
	} else if ((insn & 0x0fb00000) == 0x03200000) {
		ret->kind = (insn & 0x0fffffff) == 0x0320f000 ? INSN_NOP : INSN_PLAIN;
	} else if ((insn & 0x0fb00000) != 0x03000000) { /* movw, movt */
		a32_data_processing(insn, at, ret);
	}
}

static void a32_unconditional(uint32_t insn, taddr_t at, struct insn *ret)
{
	if ((insn & 0xfe000000) == 0xfa000000)
		point(ret, INSN_CALL, at + 8,
		      signed_bits(insn, 24) * 4 + (int32_t)(insn >> 23 & 2));
	else if ((insn >> 25 & 7) != 1 && a32_names_pc(insn, 16)) /* not NEON's arithmetic */
		ret->kind = INSN_PC;
}

static void a32_decode(uint32_t insn, taddr_t at, struct insn *ret)
{
	ret->condition = (uint8_t)(insn >> 28);
	if (ret->condition > ARM_ALWAYS) {
		ret->condition = ARM_ALWAYS;
		a32_unconditional(insn, at, ret);
		return;
	}
	switch (insn >> 25 & 7) {
	case 0:
	case 1:
		a32_class_00(insn, at, ret);
		break;
	case 3:
		if ((insn & 0x0ff000f0) == 0x07f000f0) {
			/* arch/arm/include/asm/traps.h, kernel/ptrace.c: 0xe7f001f0 */
			ret->kind = (insn & 0x0fffffff) == 0x07f001f0 ? INSN_BREAK : INSN_UD;
			break;
		}
		if (insn & 0x10)
			break; /* media: pc only as "no register" */
			       /* fall through */
	case 2:
		a32_load_store(insn, at, ret);
		break;
	case 4:
		if (a32_names_pc(insn, 16) || (!(insn >> 20 & 1) && insn & 0x8000))
			ret->kind = INSN_PC;
		else if (insn & 0x8000)
			ret->kind = INSN_END;
		break;
	case 5:
		point(ret, insn >> 24 & 1 ? INSN_CALL : INSN_BRANCH, at + 8,
		      signed_bits(insn, 24) * 4);
		break;
	case 6: /* vldr, ldc; mcrr has ordinary registers there, none of them pc */
		if (a32_names_pc(insn, 16))
			ret->kind = INSN_PC;
		break;
	}
}

/* ---- T32, 16 bits --------------------------------------------------------- */

/* 0100 01: of any registers. */
static void t16_special(uint32_t insn, struct insn *ret)
{
	uint32_t rd = (insn & 7) | (insn >> 4 & 8), rm = insn >> 3 & 15;

	if (rm == ARM_PC)
		ret->kind = INSN_PC;
	else if ((insn >> 8 & 3) == 3)
		ret->kind = insn & 0x80 ? INSN_CALL : INSN_END;
	else if (rd == ARM_PC)
		ret->kind = (insn >> 8 & 3) == 2 ? INSN_END : INSN_PC;
	else if (insn == 0x46c0) /* mov r8, r8 */
		ret->kind = INSN_NOP;
}

static void t16_miscellaneous(uint32_t insn, taddr_t at, struct insn *ret)
{
	switch (insn >> 8 & 15) {
	case 0x1:
	case 0x3:
	case 0x9:
	case 0xb:
		ret->reg = insn & 7;
		ret->nonzero = insn >> 11 & 1;
		point(ret, INSN_CBZ, at + 4,
		      (int32_t)((insn >> 3 & 0x40) | (insn >> 2 & 0x3e)));
		break;
	case 0xd:
		ret->kind = INSN_END;
		break;
	case 0xe:
		ret->kind = INSN_BREAK;
		break;
	case 0xf:
		ret->kind = insn & 15 ? INSN_IT : insn == 0xbf00 ? INSN_NOP : INSN_PLAIN;
		if (insn & 15)
			ret->count = (uint8_t)(4 - __builtin_ctz(insn & 15));
		break;
	}
}

static void t16_decode(uint32_t insn, taddr_t at, struct insn *ret)
{
	taddr_t base = (at + 4) & ~3ull;

	if (insn >> 10 == 0x11) {
		t16_special(insn, ret);
	} else if (insn >> 11 == 9 || insn >> 11 == 0x14) {
		ret->reg = insn >> 8 & 7;
		point(ret, insn >> 11 == 9 ? INSN_LITERAL : INSN_ADDRESS, base,
		      (int32_t)(insn & 0xff) * 4);
	} else if (insn >> 12 == 11) {
		t16_miscellaneous(insn, at, ret);
	} else if (insn >> 11 == 0x1c) {
		point(ret, INSN_BRANCH, at + 4, signed_bits(insn, 11) * 2);
	} else if (insn >> 8 == 0xde) {
		ret->kind = insn == 0xde01 ? INSN_BREAK : INSN_UD;
	} else if (insn >> 12 == 13 && insn >> 8 != 0xdf) {
		ret->condition = insn >> 8 & 15;
		point(ret, INSN_BRANCH, at + 4, signed_bits(insn, 8) * 2);
	}
}

/* ---- T32, 32 bits --------------------------------------------------------- */

static void t32_branch(uint32_t insn, taddr_t at, struct insn *ret)
{
	uint32_t s = insn >> 26 & 1, j1 = insn >> 13 & 1, j2 = insn >> 11 & 1;
	uint32_t low = insn & 0x7ff, kind = (insn >> 13 & 2) | (insn >> 12 & 1), far;

	far = s << 23 | (j1 ^ s ^ 1) << 22 | (j2 ^ s ^ 1) << 21 | (insn >> 16 & 0x3ff) << 11 |
	      low;
	if (kind == 0 && (insn >> 22 & 15) >= 14) { /* hints, system registers */
		if ((insn & 0xfff0f000) == 0xf7f0a000)
			ret->kind = insn == 0xf7f0a000 ? INSN_BREAK : INSN_UD;
		else if (insn == 0xf3af8000)
			ret->kind = INSN_NOP;
		else if ((insn & 0xffd0ff00) == 0xf3c08f00) /* bxj, subs pc, lr */
			ret->kind = INSN_END;
	} else if (kind == 0) {
		far = s << 19 | j2 << 18 | j1 << 17 | (insn >> 16 & 0x3f) << 11 | low;
		ret->condition = insn >> 22 & 15;
		point(ret, INSN_BRANCH, at + 4, signed_bits(far, 20) * 2);
	} else if (kind == 1) {
		point(ret, INSN_BRANCH, at + 4, signed_bits(far, 24) * 2);
	} else { /* blx goes from pc rounded down */
		point(ret, INSN_CALL, kind == 3 ? at + 4 : (at + 4) & ~3ull,
		      signed_bits(far, 24) * 2);
	}
}

static void t32_immediate(uint32_t insn, taddr_t at, struct insn *ret)
{
	int32_t number = (int32_t)((insn >> 15 & 0x800) | (insn >> 4 & 0x700) | (insn & 0xff));
	taddr_t base = (at + 4) & ~3ull;

	ret->reg = insn >> 8 & 15;
	if ((insn & 0xfbff0000) == 0xf20f0000)
		point(ret, INSN_ADDRESS, base, number);
	else if ((insn & 0xfbff0000) == 0xf2af0000)
		point(ret, INSN_ADDRESS, base, -number);
}

/* ldr, str and their kin; pc as base is a literal, as Rt of others than ldr a hint. */
static void t32_single(uint32_t insn, taddr_t at, struct insn *ret)
{
	bool word = (insn >> 21 & 3) == 2, load = insn >> 20 & 1, up = insn >> 23 & 1;
	int32_t number = (int32_t)(insn & 0xfff);

	ret->reg = insn >> 12 & 15;
	if (load && (insn >> 16 & 15) == ARM_PC) {
		ret->kind = INSN_PC;
		if (word && !(insn >> 24 & 1))
			point(ret, INSN_LITERAL, (at + 4) & ~3ull, up ? number : -number);
	} else if (load && word && ret->reg == ARM_PC) {
		ret->kind = INSN_END;
	}
}

static void t32_multiple(uint32_t insn, struct insn *ret)
{
	bool dual = insn >> 22 & 1, load = insn >> 20 & 1;

	if ((insn >> 16 & 15) == ARM_PC)
		ret->kind = INSN_PC; /* ldrd from a literal, tbb */
	else if ((insn & 0xfff0ffe0) == 0xe8d0f000)
		ret->kind = INSN_PC; /* tbb, tbh of another base */
	else if (!dual && load && insn & 0x8000)
		ret->kind = INSN_END;
}

static void t32_decode(uint32_t insn, taddr_t at, struct insn *ret)
{
	if ((insn & 0xf8008000) == 0xf0008000)
		t32_branch(insn, at, ret);
	else if ((insn & 0xf8008000) == 0xf0000000)
		t32_immediate(insn, at, ret);
	else if (insn >> 25 == 0x74)
		t32_multiple(insn, ret);
	else if (insn >> 25 == 0x7c && (insn >> 20 & 0x11) != 0x10)
		t32_single(insn, at, ret);
	else if (insn >> 25 == 0x7c)
		ret->kind = (insn >> 16 & 15) == ARM_PC ? INSN_PC : INSN_PLAIN;
	else if ((insn & 0xee000000) == 0xec000000 && (insn >> 16 & 15) == ARM_PC)
		ret->kind = INSN_PC; /* vldr, ldc */
}

int arm_insn_decode(const uint8_t *code, size_t len, taddr_t at, struct insn *ret)
{
	bool thumb = at & 1;
	uint32_t insn;

	*ret = (struct insn){.kind = INSN_PLAIN, .condition = ARM_ALWAYS, .len = 4};
	if (len < 2 || (!thumb && len < 4))
		return -EINVAL;
	at &= ~1ull;
	insn = u16_at(code);
	if (!thumb) {
		a32_decode(insn | u16_at(code + 2) << 16, at, ret);
	} else if (insn >> 11 < 0x1d) {
		ret->len = 2;
		t16_decode(insn, at, ret);
	} else {
		if (len < 4)
			return -EINVAL;
		t32_decode(insn << 16 | u16_at(code + 2), at, ret);
	}
	return 0;
}
