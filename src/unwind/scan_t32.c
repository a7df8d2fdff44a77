/*
 * T32 instructions that touch sp, save registers or branch (Arm ARM, DDI 0406C,
 * section A6).  Stores beside a push are no savings here: no compiler does it so.
 */
#include "base/cursor.h"
#include "unwind/scan_insn.h"

enum { SP = 13, LR = 14, PC = 15 };

static void set(struct scan_insn *ret, uint32_t reg, uint32_t base, int32_t number)
{
	ret->kind = SCAN_SET;
	ret->reg = (uint8_t)reg;
	ret->base = (uint8_t)base;
	ret->number = number;
}

/* 1011 xxxx: sp, push, pop, cbz, it. */
static void short_miscellaneous(uint32_t insn, uint32_t at, struct scan_insn *ret)
{
	uint32_t mask = insn & 0xff;

	switch (insn >> 8 & 15) {
	case 0x0:
		set(ret, SP, SP, (int32_t)(insn & 0x7f) * (insn & 0x80 ? -4 : 4));
		break;
	case 0x4:
	case 0x5:
		ret->kind = SCAN_PUSH;
		ret->mask = (uint16_t)(mask | (insn & 0x100 ? 1u << LR : 0));
		break;
	case 0xc:
		ret->kind = SCAN_POP;
		ret->mask = (uint16_t)mask;
		break;
	case 0xd:
		ret->kind = SCAN_END;
		break;
	case 0x1:
	case 0x3:
	case 0x9:
	case 0xb: /* cbz, cbnz */
		ret->kind = SCAN_BRANCH;
		ret->conditional = true;
		ret->target = at + 4 + ((insn >> 3 & 0x40) | (insn >> 2 & 0x3e));
		break;
	case 0xf:
		if (insn & 15) {
			ret->kind = SCAN_IT;
			ret->count = (uint8_t)(4 - __builtin_ctz(insn & 15));
		}
		break;
	}
}

/* 0100 01xx: add, cmp, mov of any registers; bx, blx. */
static void short_special(uint32_t insn, struct scan_insn *ret)
{
	uint32_t rd = (insn & 7) | (insn >> 4 & 8), rm = insn >> 3 & 15;

	switch (insn >> 8 & 3) {
	case 0:
		set(ret, rd, SCAN_VALUE, 0);
		break;
	case 2:
		set(ret, rd, rm, 0);
		break;
	case 3:
		ret->kind = insn & 0x80 ? SCAN_CALL : rm == LR ? SCAN_END : SCAN_JUMP;
		return;
	default:
		return;
	}
	if (rd == PC)
		ret->kind = rm == LR ? SCAN_END : SCAN_JUMP;
}

/* 0000 to 0111: shifts, adds, moves, data processing, loads and stores of low registers. */
static void short_low(uint32_t insn, struct scan_insn *ret)
{
	uint32_t top = insn >> 11, rd = insn >> 8 & 7;

	if (top == 5) {
		ret->kind = SCAN_COMPARE;
		ret->reg = (uint8_t)rd;
		ret->number = (int32_t)(insn & 0xff);
	} else if (top == 6 || top == 7) { /* add, sub rd, #imm8 */
		set(ret, rd, rd, (int32_t)(insn & 0xff) * (top == 6 ? 1 : -1));
	} else if (top == 4 || top == 9) { /* mov rd, #imm8; ldr rd, [pc, #imm8] */
		set(ret, rd, SCAN_VALUE, 0);
	} else if (top < 4 || top == 8) {
		set(ret, insn & 7, SCAN_VALUE, 0);
	} else if (top == 0xb || (top >= 0xc && top & 1)) { /* loads */
		set(ret, insn & 7, SCAN_VALUE, 0);
	}
}

static void short_insn(uint32_t insn, uint32_t at, struct scan_insn *ret)
{
	if (insn >> 10 == 0x11) {
		short_special(insn, ret);
	} else if (insn >> 15 == 0 || insn >> 12 == 8) {
		short_low(insn, ret);
	} else if (insn >> 11 == 0x13) { /* ldr rt, [sp, #imm8] */
		set(ret, insn >> 8 & 7, SCAN_VALUE, 0);
	} else if (insn >> 12 == 11) {
		short_miscellaneous(insn, at, ret);
	} else if (insn >> 11 == 0x15) { /* add rd, sp, #imm8 */
		set(ret, insn >> 8 & 7, SP, (int32_t)(insn & 0xff) * 4);
	} else if (insn >> 11 == 0x14) { /* adr */
		set(ret, insn >> 8 & 7, SCAN_VALUE, 0);
	} else if (insn >> 12 == 13 && (insn >> 8 & 15) < 14) {
		ret->kind = SCAN_BRANCH;
		ret->conditional = true;
		ret->target = at + 4 + (uint32_t)((int32_t)(insn << 24) >> 23);
	} else if (insn >> 8 == 0xde) {
		ret->kind = SCAN_END;
	} else if (insn >> 11 == 0x1c) {
		ret->kind = SCAN_BRANCH;
		ret->target = at + 4 + (uint32_t)((int32_t)(insn << 21) >> 20);
	}
}

/* ThumbExpandImm (A6.3.2). */
static uint32_t expanded(uint32_t imm12)
{
	uint32_t byte = imm12 & 0xff, by;

	if (imm12 >> 10) {
		byte = 0x80 | (imm12 & 0x7f);
		by = imm12 >> 7;
		return byte >> by | byte << (32 - by);
	}
	switch (imm12 >> 8) {
	case 0:
		return byte;
	case 1:
		return byte << 16 | byte;
	case 2:
		return byte << 24 | byte << 8;
	default:
		return byte * 0x01010101u;
	}
}

/* 11110 x0: data processing with an immediate. */
static void immediate(uint32_t insn, struct scan_insn *ret)
{
	uint32_t rn = insn >> 16 & 15, rd = insn >> 8 & 15, opcode = insn >> 21 & 15;
	uint32_t imm12 = (insn >> 15 & 0x800) | (insn >> 4 & 0x700) | (insn & 0xff);
	bool plain = insn >> 25 & 1;
	int32_t number = (int32_t)(plain ? imm12 : expanded(imm12));

	if (!plain && opcode == 13 && rd == PC) { /* cmp.w */
		ret->kind = SCAN_COMPARE;
		ret->reg = (uint8_t)rn;
		ret->number = number;
	} else if (rd == PC) {
		return; /* tst, teq, cmn */
	} else if ((plain && opcode == 0) || (!plain && opcode == 8)) {
		set(ret, rd, rn, number);
	} else if ((plain && opcode == 5) || (!plain && opcode == 13)) {
		set(ret, rd, rn, (int32_t)-(uint32_t)number);
	} else if (!plain && opcode == 2 && rn == PC && rd == LR && imm12 == 0) {
		ret->kind = SCAN_ZERO_LR;
	} else {
		set(ret, rd, SCAN_VALUE, 0);
	}
}

static void branch(uint32_t insn, uint32_t at, struct scan_insn *ret)
{
	uint32_t s = insn >> 26 & 1, j1 = insn >> 13 & 1, j2 = insn >> 11 & 1;
	uint32_t low = insn & 0x7ff, high;

	switch ((insn >> 14 & 1) << 1 | (insn >> 12 & 1)) {
	case 0:
		if ((insn >> 22 & 15) >= 14) {
			if ((insn & 0xfff0f000) == 0xf7f0a000)
				ret->kind = SCAN_END; /* udf.w */
			return;			      /* hints, msr */
		}
		high = s << 19 | j2 << 18 | j1 << 17 | (insn >> 16 & 0x3f) << 11 | low;
		ret->kind = SCAN_BRANCH;
		ret->conditional = true;
		ret->target = at + 4 + (uint32_t)((int32_t)(high << 12) >> 11);
		break;
	case 1:
		high = s << 23 | (j1 ^ s ^ 1) << 22 | (j2 ^ s ^ 1) << 21 |
		       (insn >> 16 & 0x3ff) << 11 | low;
		ret->kind = SCAN_BRANCH;
		ret->target = at + 4 + (uint32_t)((int32_t)(high << 8) >> 7);
		break;
	default:
		ret->kind = SCAN_CALL;
	}
}

/* 1110 100: multiple, dual, table branch. */
static void multiple(uint32_t insn, struct scan_insn *ret)
{
	uint32_t rn = insn >> 16 & 15;
	int32_t number = (int32_t)(insn & 0xff) * (insn >> 23 & 1 ? 4 : -4);
	bool writeback = insn >> 21 & 1, load = insn >> 20 & 1, before = insn >> 24 & 1;

	ret->mask = (uint16_t)insn;
	if ((insn & 0xfff0ffe0) == 0xe8d0f000) {
		ret->kind = SCAN_TABLE;
		ret->reg = insn & 0x10 ? 2 : 1;
	} else if (insn >> 22 & 1) { /* dual; exclusive ones have neither bit */
		if (rn == SP && !load && before && writeback) {
			ret->kind = SCAN_STORE;
			ret->reg = insn >> 12 & 15;
			ret->count = 2;
			ret->number = number;
			ret->writeback = writeback;
		} else if (rn == SP && writeback) {
			set(ret, SP, SP, number);
		}
	} else if (load && ret->mask >> PC & 1) {
		ret->kind = SCAN_END;
	} else if (rn == SP && writeback) {
		if (!load && before)
			ret->kind = SCAN_PUSH;
		else if (load && !before)
			ret->kind = SCAN_POP;
		else
			set(ret, SP, SCAN_VALUE, 0);
	}
}

/* 1111 100: ldr, str of one. */
static void single(uint32_t insn, struct scan_insn *ret)
{
	uint32_t rn = insn >> 16 & 15, rt = insn >> 12 & 15;
	bool word = (insn >> 21 & 3) == 2, load = insn >> 20 & 1, wide = insn >> 23 & 1;
	bool indexed = !wide && insn >> 11 & 1 && rn != PC;
	bool writeback = indexed && insn >> 8 & 1, before = !indexed || insn >> 10 & 1;
	int32_t number = wide ? (int32_t)(insn & 0xfff) : (int32_t)(insn & 0xff);

	if (indexed && !(insn >> 9 & 1))
		number = -number;
	if (load && word && rt == PC) {
		ret->kind = rn == SP ? SCAN_END : SCAN_JUMP;
	} else if (load && word && rn == SP && indexed && !before && number == 4) {
		ret->kind = SCAN_POP;
		ret->mask = (uint16_t)(1u << rt);
	} else if (rn == SP && !load && word && indexed && before && writeback) {
		ret->kind = SCAN_STORE;
		ret->reg = (uint8_t)rt;
		ret->count = 1;
		ret->number = number;
		ret->writeback = writeback;
	} else if (rn == SP && indexed && writeback) {
		set(ret, SP, SP, number);
	} else if (load && rt != PC) {
		set(ret, rt, SCAN_VALUE, 0);
	}
}

static void long_insn(uint32_t insn, uint32_t at, struct scan_insn *ret)
{
	if ((insn & 0xf8008000) == 0xf0008000) {
		branch(insn, at, ret);
	} else if ((insn & 0xf8008000) == 0xf0000000) {
		immediate(insn, ret);
	} else if (insn >> 25 == 0x74) {
		multiple(insn, ret);
	} else if (insn >> 25 == 0x7c) {
		single(insn, ret);
	} else if (insn >> 25 == 0x75) { /* data processing, shifted register */
		if ((insn >> 8 & 15) != PC)
			set(ret, insn >> 8 & 15, SCAN_VALUE, 0);
		if ((insn & 0xffeff0f0) == 0xea4f0000)
			set(ret, insn >> 8 & 15, insn & 15, 0); /* mov.w */
	} else if ((insn & 0xffbf0e00) == 0xed2d0a00) {
		set(ret, SP, SP, (int32_t)(insn & 0xff) * -4); /* vpush */
	} else if ((insn & 0xffbf0e00) == 0xecbd0a00) {
		set(ret, SP, SP, (int32_t)(insn & 0xff) * 4); /* vpop */
	}
}

bool scan_t32(const uint8_t *code, size_t len, uint32_t at, struct scan_insn *ret)
{
	struct cursor c = cursor_over(code + at, len - at);
	uint32_t insn = cursor_u16(&c);

	*ret = (struct scan_insn){.kind = SCAN_OTHER, .len = 2};
	if (insn >> 11 < 0x1d) {
		short_insn(insn, at, ret);
	} else {
		ret->len = 4;
		insn = insn << 16 | cursor_u16(&c);
		if (!c.bad)
			long_insn(insn, at, ret);
	}
	return !c.bad;
}
