/*
 * One A32 or T32 instruction: how long it is, whether it knows its own place, and where
 * it may go next.
 */
#ifndef MEMTRACE_ARM_INSN_H
#define MEMTRACE_ARM_INSN_H

#include "base/types.h"

enum { ARM_SP = 13, ARM_LR = 14, ARM_PC = 15, ARM_ALWAYS = 14 };

enum insn_kind {
	INSN_PLAIN,   /* goes on, and does the same anywhere */
	INSN_NOP,     /* does nothing, as compilers pad with */
	INSN_BRANCH,  /* b, to target */
	INSN_CBZ,     /* cbz, cbnz (`nonzero`) of reg, to target */
	INSN_CALL,    /* bl, blx; target where it is not a register */
	INSN_LITERAL, /* ldr reg, [target] */
	INSN_ADDRESS, /* adr: reg = target */
	INSN_IT,      /* the next `count` instructions have conditions */
	INSN_END,     /* returns, or jumps where a register says */
	INSN_UD,      /* udf: execution does not get past it */
	INSN_BREAK,   /* bkpt, or what Linux takes for one */
	INSN_PC,      /* uses its own address in a way not named above */
};

struct insn {
	uint8_t len;  /* 2 or 4 */
	uint8_t kind; /* enum insn_kind */
	uint8_t reg;
	uint8_t condition; /* of A32, and of a T32 branch; ARM_ALWAYS: none */
	uint8_t count;
	bool nonzero;
	taddr_t target; /* 0: none */
};

/* Decodes the instruction at code, of which len bytes can be read and which is at
 * `at` (with bit 0 set for T32).  0, or -EINVAL: not whole in len. */
int arm_insn_decode(const uint8_t *code, size_t len, taddr_t at, struct insn *ret);

#endif
