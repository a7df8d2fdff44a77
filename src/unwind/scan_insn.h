/* What an instruction means for a frame: all that the scan wants to know of it. */
#ifndef MEMTRACE_SCAN_INSN_H
#define MEMTRACE_SCAN_INSN_H

#include "base/types.h"

enum scan_kind {
	SCAN_OTHER,
	SCAN_PUSH,   /* the registers of mask, below sp */
	SCAN_POP,    /* the registers of mask, from sp up */
	SCAN_STORE,  /* `count` registers from `reg` on, at sp + number; `writeback`: sp +=
			number */
	SCAN_SET,    /* reg = base + number; base SCAN_VALUE: a value that is not followed */
	SCAN_BRANCH, /* goes to `target` */
	SCAN_CALL,
	SCAN_JUMP,    /* goes where a register or a table in memory says */
	SCAN_END,     /* returns, or stops */
	SCAN_COMPARE, /* reg with number */
	SCAN_TABLE,   /* tbb, tbh: a jump by a table of bytes, halfwords (reg: 1, 2) behind it;
		       * add pc: by one of instructions (4) */
	SCAN_ADDRESSES, /* A32's ldr pc, [pc, ...]: a jump by a table of addresses behind it */
	SCAN_IT,	/* the next `count` instructions are conditional */
	SCAN_ZERO_LR,
};

enum { SCAN_VALUE = 255 };

struct scan_insn {
	uint8_t kind; /* enum scan_kind */
	uint8_t len;
	uint8_t reg, base, count;
	bool conditional; /* A32; in T32 it is a branch, or SCAN_IT comes before it */
	bool writeback;
	uint16_t mask;
	int32_t number;
	uint32_t target; /* offset in the function, modulo 2^32 */
};

/* Does nothing behind it follow, but by a branch? */
static inline bool scan_insn_is_end(const struct scan_insn *insn)
{
	return insn->kind == SCAN_BRANCH || insn->kind == SCAN_JUMP ||
	       insn->kind == SCAN_TABLE || insn->kind == SCAN_ADDRESSES ||
	       insn->kind == SCAN_END;
}

/* The instruction at code[at]; at + 4 <= len, or at + 2 of a Thumb function's last one.  False:
 * cut off. */
bool scan_a32(const uint8_t *code, size_t len, uint32_t at, struct scan_insn *ret);
bool scan_t32(const uint8_t *code, size_t len, uint32_t at, struct scan_insn *ret);

#endif
