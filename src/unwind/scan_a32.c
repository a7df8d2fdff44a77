/*
 * A32 instructions that touch sp, save registers or branch (Arm ARM, DDI 0406C,
 * section A5).  Tables of mask and value: the condition in the top four bits is apart.
 */
#include "base/cursor.h"
#include "unwind/scan_insn.h"

enum { SP = 13, LR = 14, PC = 15, ALWAYS = 14, UNCONDITIONAL = 15 };

static uint32_t rotated(uint32_t insn)
{
	uint32_t value = insn & 0xff, by = insn >> 7 & 30;

	return by ? value >> by | value << (32 - by) : value;
}

static void set(struct scan_insn *ret, uint32_t reg, uint32_t base, int32_t number)
{
	ret->kind = reg != PC ? SCAN_SET : base == LR ? SCAN_END : SCAN_JUMP;
	ret->reg = (uint8_t)reg;
	ret->base = (uint8_t)base;
	ret->number = number;
}

/* Data processing with a register as destination. */
static void data_processing(uint32_t insn, struct scan_insn *ret)
{
	uint32_t opcode = insn >> 21 & 15, rn = insn >> 16 & 15, rd = insn >> 12 & 15;
	bool immediate = insn >> 25 & 1;

	if (opcode == 10 && immediate) { /* cmp */
		ret->kind = SCAN_COMPARE;
		ret->reg = (uint8_t)rn;
		ret->number = (int32_t)rotated(insn);
	} else if (opcode >= 8 && opcode <= 11) {
		return; /* tst, teq, cmp, cmn: no destination */
	} else if (immediate && (opcode == 2 || opcode == 4)) {
		uint32_t number = rotated(insn);

		set(ret, rd, rn, (int32_t)(opcode == 2 ? -number : number));
	} else if (opcode == 13 && !immediate && (insn & 0xff0) == 0) { /* mov rd, rm */
		set(ret, rd, insn & 15, 0);
	} else if (opcode == 13 && immediate && rd == LR && (insn & 0xfff) == 0) {
		ret->kind = SCAN_ZERO_LR;
	} else if (opcode == 4 && rd == PC && rn == PC && (insn & 0xff0) == 0x100) {
		ret->kind = SCAN_TABLE; /* add pc, pc, rm, lsl #2 */
		ret->reg = 4;
	} else {
		set(ret, rd, SCAN_VALUE, 0);
	}
}

/* ldr and str, by word. */
static void load_store(uint32_t insn, struct scan_insn *ret)
{
	uint32_t rn = insn >> 16 & 15, rt = insn >> 12 & 15;
	bool before = insn >> 24 & 1, up = insn >> 23 & 1, byte = insn >> 22 & 1;
	bool writeback = insn >> 21 & 1, load = insn >> 20 & 1, by_register = insn >> 25 & 1;
	int32_t number = (int32_t)(insn & 0xfff);

	number = up ? number : -number;
	if (load && rn == SP && !before && !by_register && !byte) {
		ret->kind = SCAN_POP;
		ret->mask = (uint16_t)(1u << rt);
		if (number != 4) /* pops one word, drops more */
			set(ret, SP, rt == PC ? SCAN_VALUE : SP, number);
		if (rt == PC)
			ret->kind = SCAN_END;
	} else if ((insn & 0x0ffffff0) == 0x079ff100) { /* ldr pc, [pc, rm, lsl #2] */
		ret->kind = SCAN_ADDRESSES;
	} else if (load && rt == PC) {
		ret->kind = SCAN_JUMP;
	} else if (load) {
		set(ret, rt, SCAN_VALUE, 0);
	} else if (rn == SP && before && !by_register && !byte) {
		ret->kind = SCAN_STORE;
		ret->reg = (uint8_t)rt;
		ret->count = 1;
		ret->number = number;
		ret->writeback = writeback;
	} else if (rn == SP && (writeback || !before)) {
		set(ret, SP, by_register ? SCAN_VALUE : SP, number);
	}
}

/* strd, ldrd with an immediate offset from sp. */
static void dual(uint32_t insn, struct scan_insn *ret)
{
	bool before = insn >> 24 & 1, up = insn >> 23 & 1, immediate = insn >> 22 & 1;
	bool writeback = insn >> 21 & 1, load = (insn & 0xf0) == 0xd0;
	int32_t number = (int32_t)((insn >> 4 & 0xf0) | (insn & 15));

	number = up ? number : -number;
	if (!load && before && immediate) {
		ret->kind = SCAN_STORE;
		ret->reg = insn >> 12 & 15;
		ret->count = 2;
		ret->number = number;
		ret->writeback = writeback;
	} else if (!before || writeback) {
		set(ret, SP, immediate ? SP : SCAN_VALUE, number);
	}
}

static void multiple(uint32_t insn, struct scan_insn *ret)
{
	uint32_t rn = insn >> 16 & 15;
	bool load = insn >> 20 & 1, writeback = insn >> 21 & 1;
	uint32_t mode = insn >> 23 & 3; /* up, before */

	ret->mask = (uint16_t)insn;
	if (rn == SP && writeback && !load && mode == 2)
		ret->kind = SCAN_PUSH;
	else if (load && ret->mask >> PC & 1)
		ret->kind = SCAN_END;
	else if (rn == SP && writeback && load && mode == 1)
		ret->kind = SCAN_POP;
	else if ((rn == SP && writeback) || (load && ret->mask >> SP & 1))
		set(ret, SP, SCAN_VALUE, 0);
}

/* vpush and vpop; imm8 is in words. */
static void vector(uint32_t insn, struct scan_insn *ret)
{
	int32_t number = (int32_t)(insn & 0xff) * 4;

	if ((insn & 0x0fbf0e00) == 0x0d2d0a00)
		set(ret, SP, SP, -number);
	else if ((insn & 0x0fbf0e00) == 0x0cbd0a00)
		set(ret, SP, SP, number);
}

static void miscellaneous(uint32_t insn, struct scan_insn *ret)
{
	if ((insn & 0x0ffffff0) == 0x012fff10 || (insn & 0x0ffffff0) == 0x012fff20)
		ret->kind = (insn & 15) == LR ? SCAN_END : SCAN_JUMP; /* bx, bxj */
	else if ((insn & 0x0ffffff0) == 0x012fff30)
		ret->kind = SCAN_CALL; /* blx */
}

static void class_00(uint32_t insn, struct scan_insn *ret)
{
	if ((insn & 0x0e000090) == 0x90) { /* multiplies, extra loads and stores */
		if ((insn & 0x0e1f00d0) == 0x000d00d0)
			dual(insn, ret);
	} else if ((insn & 0x0f900000) == 0x01000000) {
		miscellaneous(insn, ret);
	} else if ((insn & 0x0fb00000) == 0x03000000) {
		set(ret, insn >> 12 & 15, SCAN_VALUE, 0); /* movw, movt */
	} else if ((insn & 0x0fb00000) != 0x03200000) {	  /* msr, hints */
		data_processing(insn, ret);
	}
}

bool scan_a32(const uint8_t *code, size_t len, uint32_t at, struct scan_insn *ret)
{
	struct cursor c = cursor_over(code + at, len - at);
	uint32_t insn = cursor_u32(&c);

	*ret = (struct scan_insn){.kind = SCAN_OTHER, .len = 4};
	if (c.bad)
		return false;
	ret->conditional = insn >> 28 < ALWAYS;
	if (insn >> 28 == UNCONDITIONAL) {
		if ((insn & 0xfe000000) == 0xfa000000)
			ret->kind = SCAN_CALL; /* blx to Thumb code */
		return true;
	}
	switch (insn >> 25 & 7) {
	case 0:
	case 1:
		class_00(insn, ret);
		break;
	case 2:
		load_store(insn, ret);
		break;
	case 3:
		if ((insn & 0x0ff000f0) == 0x07f000f0)
			ret->kind = SCAN_END; /* udf */
		else if (!(insn & 0x10))
			load_store(insn, ret);
		break;
	case 4:
		multiple(insn, ret);
		break;
	case 5:
		ret->kind = insn >> 24 & 1 ? SCAN_CALL : SCAN_BRANCH;
		ret->target = at + 8 + ((uint32_t)((int32_t)(insn << 8) >> 6));
		break;
	case 6:
		vector(insn, ret);
		break;
	}
	return true;
}
