/*
 * One x86-64 instruction: how long it is, whether it refers to its own place, and
 * where it may go next.  No operands, no mnemonics.
 */
#ifndef MEMTRACE_X86_64_INSN_H
#define MEMTRACE_X86_64_INSN_H

#include "base/types.h"

enum { INSN_MAX_LEN = 15 }; /* longer ones are #UD, whatever they say */

enum insn_kind {
	INSN_PLAIN,   /* goes on to the next instruction; may have a rip-relative operand */
	INSN_NOP,     /* does nothing, as compilers pad with: 90, 66 90, 0f 1f /0 */
	INSN_ENDBR64, /* f3 0f 1e fa */
	INSN_JCC,     /* 7x, 0f 8x */
	INSN_JMP,     /* eb, e9 */
	INSN_CALL,    /* e8 */
	INSN_LOOP,    /* e0-e3: loopne, loope, loop, jrcxz: a rel8 without a longer form */
	INSN_XBEGIN,  /* c7 f8: falls through, or aborts to its target */
	INSN_RET,     /* c3, c2, cb, ca, cf (iret) */
	INSN_JMP_INDIRECT,  /* ff /4, /5 */
	INSN_CALL_INDIRECT, /* ff /2, /3 */
	INSN_INT3,	    /* cc */
	INSN_UD,	    /* ud0, ud1, ud2, hlt: execution does not get past it */
	INSN_SYSCALL,	    /* 0f 05, 0f 34 */
};

struct insn {
	uint8_t len;
	uint8_t kind; /* enum insn_kind */
	/*
	 * The pc-relative field: the target of JCC JMP CALL LOOP XBEGIN, else a memory
	 * operand.  It refers to address of the instruction + len + rel.
	 */
	uint8_t rel_at;	   /* its offset in the instruction; 0: there is none */
	uint8_t rel_len;   /* 1, 4, or 2 (behind a 66 prefix) */
	int32_t rel;	   /* its value */
	uint8_t condition; /* JCC: the low nibble of the opcode */
	bool prefix66;	   /* operand size prefix; branches differ by CPU vendor */
	bool prefix67;	   /* address size prefix: a rip-relative operand wraps at 4 GB */
};

/*
 * Decodes the instruction at code, of which len bytes can be read.  0, or -EINVAL:
 * undefined in 64-bit mode, unknown, longer than 15 bytes, or not whole in len.
 * Opcodes the CPU vendors have not assigned yet are accepted where their length
 * is settled by the map they are in.
 */
int insn_decode(const uint8_t *code, size_t len, struct insn *ret);

#endif
