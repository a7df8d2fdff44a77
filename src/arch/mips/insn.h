/*
 * One instruction of MIPS32 (releases 1 to 5, and what came before): whether it refers to its own
 * place, and where it may go next.
 */
#ifndef MEMTRACE_MIPS_INSN_H
#define MEMTRACE_MIPS_INSN_H

#include <string.h>

#include "base/types.h"

enum { MIPS_LEN = 4 };

/* From MIPS_B to MIPS_JALR: the instruction behind it, in its delay slot, is executed before the
 * one that it leads to. */
enum mips_kind {
	MIPS_PLAIN, /* goes on to the next instruction, whatever its address */
	MIPS_NOP,
	MIPS_B,	     /* b: beq or bgez of $zero */
	MIPS_BRANCH, /* under a condition, also "likely": lowest 16 bits are the distance */
	MIPS_J,
	MIPS_JR,
	MIPS_BAL, /* bltzal, bgezal ... */
	MIPS_JAL, /* jal, jalx */
	MIPS_JALR,
	MIPS_BREAK,	/* break, sdbbp */
	MIPS_UNDEFINED, /* or of release 6 alone, where it may refer to its place */
};

struct mips_insn {
	uint8_t kind;	/* enum mips_kind */
	taddr_t target; /* of MIPS_B, BRANCH, J, BAL, JAL: where it leads to */
};

/* at: where it stands; a jump's target is in the same 256 MB as the instruction behind it. */
struct mips_insn mips_decode(uint32_t code, taddr_t at);

/* Code is words in the CPU's own order, which is this machine's where anything is traced. */
static inline uint32_t mips_read(const uint8_t *code)
{
	uint32_t word;

	memcpy(&word, code, sizeof(word));
	return word;
}

/* Is the instruction behind it executed first? */
static inline bool mips_has_delay_slot(const struct mips_insn *insn)
{
	return insn->kind >= MIPS_B && insn->kind <= MIPS_JALR;
}

/* Does it come back behind its delay slot, from what it calls? */
static inline bool mips_is_call(const struct mips_insn *insn)
{
	return insn->kind >= MIPS_BAL && insn->kind <= MIPS_JALR;
}

#endif
