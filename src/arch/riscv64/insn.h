/*
 * One RISC-V instruction: its length, whether it refers to its own place, and where it may go
 * next.
 */
#ifndef MEMTRACE_RISCV64_INSN_H
#define MEMTRACE_RISCV64_INSN_H

#include "base/types.h"

enum { RV_LEN = 4, RV_SHORT = 2 };

enum rv_kind {
	RV_PLAIN,  /* goes on to the next instruction, whatever its address */
	RV_NOP,	   /* c.nop; addi x0, x0, 0 */
	RV_LPAD,   /* a landing pad for indirect calls: auipc x0 (Zicfilp) */
	RV_J,	   /* jal x0, c.j */
	RV_JAL,	   /* with a return address, in x1 or another */
	RV_BRANCH, /* beq ... bgeu, c.beqz, c.bnez */
	RV_AUIPC,  /* reg = pc + rel */
	RV_ADD,	   /* addi reg, base, value; also as c.addi */
	RV_LOAD,   /* ld reg, value(base) */
	RV_JR,	   /* jalr x0, c.jr: execution does not come back */
	RV_JALR,   /* jalr with a return address, c.jalr */
	RV_BREAK,  /* ebreak, c.ebreak */
	RV_ILLEGAL, /* all zeros, or longer than 32 bits */
};

struct rv_insn {
	uint8_t kind; /* enum rv_kind */
	uint8_t len;  /* 2 or 4 */
	uint8_t reg;  /* AUIPC, ADD, LOAD: what it writes; JAL: where the return address goes */
	uint8_t base;	  /* ADD, LOAD, JR, JALR */
	uint8_t other;	  /* BRANCH: base is compared with it */
	uint8_t condition; /* BRANCH: funct3 of beq, bne, blt, bge, bltu, bgeu */
	int32_t value;	  /* ADD, LOAD, JR, JALR */
	int64_t rel;	  /* of what refers to its place: the distance to what it refers to */
};

/* The instruction at code, of which len bytes may be read.  False: there are not enough. */
bool rv_decode(const uint8_t *code, size_t len, struct rv_insn *ret);

static inline uint32_t rv_read(const uint8_t *code)
{
	return code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 |
	       (uint32_t)code[3] << 24;
}

/* Does execution never pass to the instruction behind it? */
static inline bool rv_is_end(const struct rv_insn *insn)
{
	return insn->kind == RV_J || insn->kind == RV_JR || insn->kind == RV_ILLEGAL;
}

/* Does it have a target among instructions? */
static inline bool rv_is_branch(const struct rv_insn *insn)
{
	return insn->kind >= RV_J && insn->kind <= RV_BRANCH;
}

#endif
