/*
 * What a RISC-V instruction has to do with its place.
 *
 * The two lowest bits tell the length: 11 is 32 bits (11111 more than that, which no CPU has),
 * the others 16 (the C extension).  Those that refer to the pc are few:
 *
 *    imm[20|10:1|11|19:12] rd 1101111              jal
 *    imm[12|10:5] rs2 rs1 funct3 imm[4:1|11] 1100011   beq ... bgeu
 *    imm[31:12] rd 0010111                         auipc
 *    imm[11:0] rs1 000 rd 1100111                  jalr
 *    101 imm[11|4|9:8|10|6|7|3:1|5] 01             c.j
 *    11x imm[8|4:3] rs1' imm[7:6|2:1|5] 01         c.beqz, c.bnez
 *
 * The RISC-V Instruction Set Manual I (20240411): chapters 2, 4, 27; 35 for the table.
 */
#include "arch/riscv64/insn.h"

enum { RA = 1, SP = 2 };

static uint32_t bits(uint32_t code, unsigned low, unsigned count)
{
	return code >> low & ((1u << count) - 1);
}

static int32_t signed_bits(uint32_t value, unsigned count)
{
	return (int32_t)(value << (32 - count)) >> (32 - count);
}

static struct rv_insn decode_jal(uint32_t code)
{
	uint32_t rel = bits(code, 21, 10) << 1 | bits(code, 20, 1) << 11 |
		       bits(code, 12, 8) << 12 | bits(code, 31, 1) << 20;
	uint8_t reg = (uint8_t)bits(code, 7, 5);

	return (struct rv_insn){
		.kind = reg ? RV_JAL : RV_J, .reg = reg, .rel = signed_bits(rel, 21)};
}

static struct rv_insn decode_branch(uint32_t code)
{
	uint32_t rel = bits(code, 8, 4) << 1 | bits(code, 25, 6) << 5 | bits(code, 7, 1) << 11 |
		       bits(code, 31, 1) << 12;

	if ((bits(code, 12, 3) & 6) == 2) /* reserved */
		return (struct rv_insn){.kind = RV_PLAIN};
	return (struct rv_insn){.kind = RV_BRANCH,
				.base = (uint8_t)bits(code, 15, 5),
				.other = (uint8_t)bits(code, 20, 5),
				.condition = (uint8_t)bits(code, 12, 3),
				.rel = signed_bits(rel, 13)};
}

/* With rd, rs1 and 12 bits of a number. */
static struct rv_insn decode_immediate(uint32_t code)
{
	struct rv_insn insn = {.kind = RV_PLAIN,
			       .reg = (uint8_t)bits(code, 7, 5),
			       .base = (uint8_t)bits(code, 15, 5),
			       .value = signed_bits(bits(code, 20, 12), 12)};

	switch (code & 0x707f) {
	case 0x0013: /* addi */
		insn.kind = insn.reg || insn.base || insn.value ? RV_ADD : RV_NOP;
		break;
	case 0x3003: /* ld */
		insn.kind = RV_LOAD;
		break;
	case 0x0067: /* jalr */
		insn.kind = insn.reg ? RV_JALR : RV_JR;
		break;
	}
	return insn;
}

static struct rv_insn decode_long(uint32_t code)
{
	if (code == 0x00100073)
		return (struct rv_insn){.kind = RV_BREAK};
	switch (code & 0x7f) {
	case 0x6f:
		return decode_jal(code);
	case 0x63:
		return decode_branch(code);
	case 0x17:
		return (struct rv_insn){.kind = bits(code, 7, 5) ? RV_AUIPC : RV_LPAD,
					.reg = (uint8_t)bits(code, 7, 5),
					.rel = (int32_t)(code & 0xfffff000)};
	case 0x13:
	case 0x03:
	case 0x67:
		return decode_immediate(code);
	}
	return (struct rv_insn){.kind = RV_PLAIN};
}

static struct rv_insn decode_c_j(uint32_t code)
{
	uint32_t rel = bits(code, 3, 3) << 1 | bits(code, 11, 1) << 4 | bits(code, 2, 1) << 5 |
		       bits(code, 7, 1) << 6 | bits(code, 6, 1) << 7 | bits(code, 9, 2) << 8 |
		       bits(code, 8, 1) << 10 | bits(code, 12, 1) << 11;

	return (struct rv_insn){.kind = RV_J, .rel = signed_bits(rel, 12)};
}

static struct rv_insn decode_c_branch(uint32_t code)
{
	uint32_t rel = bits(code, 3, 2) << 1 | bits(code, 10, 2) << 3 | bits(code, 2, 1) << 5 |
		       bits(code, 5, 2) << 6 | bits(code, 12, 1) << 8;

	return (struct rv_insn){.kind = RV_BRANCH,
				.base = (uint8_t)(8 + bits(code, 7, 3)),
				.condition = (uint8_t)bits(code, 13, 1),
				.rel = signed_bits(rel, 9)};
}

/* c.addi; c.addi16sp */
static struct rv_insn decode_c_add(uint32_t code)
{
	uint8_t reg = (uint8_t)bits(code, 7, 5);
	int32_t value = signed_bits(bits(code, 2, 5) | bits(code, 12, 1) << 5, 6);

	if (bits(code, 13, 3) == 3)
		value = signed_bits(bits(code, 6, 1) << 4 | bits(code, 2, 1) << 5 |
					    bits(code, 5, 1) << 6 | bits(code, 3, 2) << 7 |
					    bits(code, 12, 1) << 9,
				    10);
	return (struct rv_insn){
		.kind = reg ? RV_ADD : RV_NOP, .reg = reg, .base = reg, .value = value};
}

/* c.jr, c.mv, c.ebreak, c.jalr, c.add */
static struct rv_insn decode_c_jump(uint32_t code)
{
	uint8_t reg = (uint8_t)bits(code, 7, 5);

	if (bits(code, 2, 5))
		return (struct rv_insn){.kind = RV_PLAIN};
	if (!bits(code, 12, 1))
		return (struct rv_insn){.kind = reg ? RV_JR : RV_ILLEGAL, .base = reg};
	return (struct rv_insn){
		.kind = reg ? RV_JALR : RV_BREAK, .reg = reg ? RA : 0, .base = reg};
}

static struct rv_insn decode_short(uint32_t code)
{
	if (!code)
		return (struct rv_insn){.kind = RV_ILLEGAL};
	switch (bits(code, 13, 3) << 2 | (code & 3)) {
	case 0 << 2 | 1:
		return decode_c_add(code);
	case 3 << 2 | 1: /* c.addi16sp; c.lui of the other registers */
		if (bits(code, 7, 5) == SP)
			return decode_c_add(code);
		break;
	case 5 << 2 | 1:
		return decode_c_j(code);
	case 6 << 2 | 1:
	case 7 << 2 | 1:
		return decode_c_branch(code);
	case 4 << 2 | 2:
		return decode_c_jump(code);
	}
	return (struct rv_insn){.kind = RV_PLAIN};
}

bool rv_decode(const uint8_t *code, size_t len, struct rv_insn *ret)
{
	if (len < RV_SHORT)
		return false;
	if ((code[0] & 3) != 3) {
		*ret = decode_short(code[0] | (uint32_t)code[1] << 8);
		ret->len = RV_SHORT;
		return true;
	}
	if (len < RV_LEN)
		return false;
	*ret = (code[0] & 0x1f) == 0x1f ? (struct rv_insn){.kind = RV_ILLEGAL}
					: decode_long(rv_read(code));
	ret->len = RV_LEN;
	return true;
}
