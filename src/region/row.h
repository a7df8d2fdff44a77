/*
 * A row: how to unwind one frame, compiled from whatever describes it (DWARF
 * CFI, ARM EHABI, a prologue scan).  Many producers, one consumer (walk.h).
 *
 *   CFA        = base + cfa_offset             base by enum row_cfa
 *   return pc  = where row_where says, ra_offset
 *   caller fp  = where row_where says, fp_offset
 *   caller sp  = CFA (x86-64, ARM, AArch64, all ABIs of ours)
 *
 * What does not fit (another register as base, an unusual expression, an offset
 * beyond 16 bits) is ROW_CFA_FULL: the walk is done again from its first frame
 * with all registers (unwind/full.h), so a row is exact or absent, never near.
 *
 * 12 bytes, fixed-width, little-endian on the wire: this crosses borders.
 */
#ifndef MEMTRACE_ROW_H
#define MEMTRACE_ROW_H

#include <stdint.h>

enum row_cfa {
	ROW_CFA_NONE = 0,     /* no unwind data covers this pc */
	ROW_CFA_SP = 1,	      /* sp + cfa_offset */
	ROW_CFA_FP = 2,	      /* fp + cfa_offset */
	ROW_CFA_SP_DEREF = 3, /* *(sp + cfa_offset): x86-64 signal frames */
	ROW_CFA_FP_DEREF = 4, /* *(fp + cfa_offset): realigned frames */
	ROW_CFA_PLT = 5, /* sp + 8 + ((pc & 15) >= 11 ? 8 : 0): x86-64 PLT; cfa_offset = 8 */
	ROW_CFA_PLT9 =
		6, /* the same with >= 9: .plt of files linked with -z ibtplt (endbr64 first) */
	ROW_CFA_FULL = 7, /* needs all registers: unwind/full.h */
	ROW_CFA_ROOT = 8, /* the return address is undefined here: outermost frame */
	ROW_CFA_NO_CODE = 9, /* pc is no code address.  Never on the wire */
};

enum row_where {
	ROW_SAME = 0,	   /* still in its register (fp; ra: the link register) */
	ROW_AT_CFA = 1,	   /* stored at CFA + offset */
	ROW_AT_SP = 2,	   /* stored at sp + offset (this frame's sp) */
	ROW_AT_FP = 3,	   /* stored at fp + offset (this frame's fp) */
	ROW_UNDEFINED = 4, /* not recoverable (fp only; reads as 0 thereafter) */
};

enum row_flags {
	ROW_SIGNAL =
		1
		<< 0, /* a signal trampoline: the caller's pc is exact, not a return address */
	ROW_GUESS = 1 << 1, /* from a prologue scan or a frame pointer, not from unwind data */
	ROW_PAC = 1 << 2,   /* AArch64: the return address is signed */
};

struct row {
	int32_t cfa_offset;
	int16_t ra_offset;
	int16_t fp_offset;
	uint8_t cfa;   /* enum row_cfa */
	uint8_t ra;    /* enum row_where */
	uint8_t fp;    /* enum row_where */
	uint8_t flags; /* enum row_flags */
};
_Static_assert(sizeof(struct row) == 12, "rows cross the wire");

#endif
