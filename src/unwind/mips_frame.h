/*
 * Frames of MIPS code (o32) that has no call frame information: by .pdr, which the compiler
 * writes and strip leaves, or by the code itself; and what follows from them.
 */
#ifndef MEMTRACE_MIPS_FRAME_H
#define MEMTRACE_MIPS_FRAME_H

#include "region/row.h"
#include "unwind/cfi.h"

enum { MIPS_FRAME_REGS = 32, MIPS_SP = 29, MIPS_S8 = 30, MIPS_RA = 31, MIPS_PC = 32 };

/* What is known of a frame at one instruction. */
struct mips_frame {
	uint8_t base;	    /* sp or s8: CFA = r[base] + cfa_offset */
	bool guess;	    /* by the code */
	bool root;	    /* the outermost one */
	int32_t cfa_offset; /* 0: it has no frame (yet) */
	int32_t at[MIPS_FRAME_REGS]; /* callee-saved register n was saved at CFA - at[n]; 0: not */
};

/*
 * By the code of a function from its first instruction, len bytes of which lie in front of the
 * place.  -ENOENT: sp depends on a value.
 */
int mips_scan(const struct arch *arch, const uint8_t *code, size_t len, struct mips_frame *ret);

/* Where the code, of which the last instruction is in front of the place, may begin a function
 * that has a frame there: the nearest one that lowers sp, behind which ra is saved.  Its offset,
 * or -ENOENT. */
int64_t mips_scan_begin(const struct arch *arch, const uint8_t *code, size_t len);

/* Do the last two instructions of these 8 bytes call, in front of a return address? */
bool mips_is_behind_call(const struct arch *arch, const uint8_t *code);

/* As a row.  `exact`: the frame was interrupted here, its return address may be in ra still.
 * -ENOENT (and ROW_CFA_NONE): it is not known where that is. */
int mips_row(const struct mips_frame *frame, bool exact, struct row *ret);

/* Steps to the caller, as cfi_step(). */
int mips_step(const struct arch *arch, const struct mips_frame *frame, bool exact,
	      struct memory *memory, struct full_regs *regs, uint64_t *cfa, uint8_t *flags);

#endif
