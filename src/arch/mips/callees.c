/*
 * Where code leads to: calls and jumps, and through a slot:
 *
 *     lui gp, hi; addiu gp, gp, lo; addu gp, gp, t9       gp = the function + hi:lo
 *     lw t9, slot - gp(gp); jalr t9
 *
 * or, as an entry of a program's PLT does, lui t7, hi; lw t9, lo(t7); addiu t8, t7, lo; jr t9.
 */
#include "arch/mips/encode.h"
#include "arch/mips/insn.h"
#include "arch/mips/mips.h"

enum {
	LUI = 0x0f,
	ADDIU = 0x09,
	LOAD = 0x23,
	ADD_GP_T9 = 0x0399e021, /* addu gp, gp, t9 */
};

/* What code knows of registers: the constants in them. */
struct constants {
	uint32_t known; /* bit n: of register n */
	uint32_t value[32];
};

static uint32_t distance_of(uint32_t word)
{
	return (uint32_t)(int16_t)word;
}

/* Of addresses in registers: lui, addiu, and gp's prologue in the function at `from`. */
static void constants_step(struct constants *c, uint32_t word, taddr_t from)
{
	uint32_t opcode = word >> 26, base = word >> 21 & 31, to = word >> 16 & 31;

	if (opcode == LUI) {
		c->value[to] = word << 16;
		c->known |= 1u << to;
	} else if (opcode == ADDIU && c->known >> base & 1) {
		c->value[to] = c->value[base] + distance_of(word);
		c->known |= 1u << to;
	} else if (word == ADD_GP_T9 && c->known >> MIPS_GP & 1) {
		c->value[MIPS_GP] += (uint32_t)from;
	} else if (opcode == LOAD) {
		c->known &= ~(1u << to);
	}
}

/* Is it a load of t9 from a place that is known? */
static bool is_slot(const struct constants *c, uint32_t word)
{
	return word >> 26 == LOAD && (word >> 16 & 31) == MIPS_T9 &&
	       c->known >> (word >> 21 & 31) & 1;
}

size_t mips_callees(const uint8_t *code, size_t len, taddr_t from, struct callee *ret,
		    size_t max)
{
	struct constants constants = {0};
	size_t count = 0;

	for (size_t at = 0; at + MIPS_LEN <= len && count < max; at += MIPS_LEN) {
		uint32_t word = mips_read(code + at);
		struct mips_insn insn = mips_decode(word, from + at);

		if (insn.target && insn.kind != MIPS_BRANCH)
			ret[count++] = (struct callee){.target = insn.target};
		else if (is_slot(&constants, word))
			ret[count++] = (struct callee){
				.slot = (uint32_t)(constants.value[word >> 21 & 31] +
						   distance_of(word))};
		constants_step(&constants, word, from);
	}
	return count;
}

/* lui, and an addiu to it: code that is not position independent. */
size_t mips_addresses(const uint8_t *code, size_t len, taddr_t from, taddr_t *ret, size_t max)
{
	struct constants constants = {0};
	size_t count = 0;

	for (size_t at = 0; at + MIPS_LEN <= len && count < max; at += MIPS_LEN) {
		uint32_t word = mips_read(code + at), to = word >> 16 & 31;

		constants_step(&constants, word, from);
		if (word >> 26 == ADDIU && to != MIPS_GP && constants.known >> to & 1)
			ret[count++] = constants.value[to];
	}
	return count;
}
