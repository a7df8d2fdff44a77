/*
 * One A64 instruction: whether it refers to its own place, and where it may go next.
 */
#ifndef MEMTRACE_AARCH64_INSN_H
#define MEMTRACE_AARCH64_INSN_H

#include "base/types.h"

enum { A64_LEN = 4 };

enum a64_kind {
	A64_PLAIN, /* goes on to the next instruction, whatever its address */
	A64_NOP,
	A64_BTI, /* a landing pad for indirect calls: bti c, bti jc, bti */
	A64_PAC, /* paciasp, pacibsp: signs lr, and is a landing pad too */
	A64_B,
	A64_BL,
	A64_BCOND, /* b.cond, bc.cond; rel as CBZ */
	A64_CBZ,   /* cbz, cbnz */
	A64_TBZ,   /* tbz, tbnz */
	A64_ADR,
	A64_ADRP,      /* rel in bytes, from the instruction's page */
	A64_LITERAL,   /* ldr, ldrsw, prfm, ldr of a vector register: from pc + rel */
	A64_BR,	       /* br, braa ...: execution does not come back */
	A64_BLR,       /* blr, blraa ... */
	A64_RET,       /* ret, retaa, retab, eret */
	A64_UNDEFINED, /* udf, and the encodings that are reserved */
	A64_BREAK,     /* brk, hlt */
};

struct a64_insn {
	uint8_t kind; /* enum a64_kind */
	int64_t rel;  /* of what refers to its place: the distance to what it refers to */
};

struct a64_insn a64_decode(uint32_t code);

/* Instructions are little-endian whatever the data are. */
static inline uint32_t a64_read(const uint8_t *code)
{
	return code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 |
	       (uint32_t)code[3] << 24;
}

/* Does execution never pass to the instruction behind it? */
static inline bool a64_is_end(const struct a64_insn *insn)
{
	return insn->kind == A64_B || insn->kind == A64_BR || insn->kind == A64_RET ||
	       insn->kind == A64_UNDEFINED;
}

/* Does it have a target among instructions? */
static inline bool a64_is_branch(const struct a64_insn *insn)
{
	return insn->kind >= A64_B && insn->kind <= A64_TBZ;
}

#endif
