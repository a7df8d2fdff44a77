/*
 * Unwinding 32-bit ARM code that has no unwind data, by reading the code itself: from
 * the function's first instruction along its branches to a frame's pc.
 */
#ifndef MEMTRACE_SCAN_H
#define MEMTRACE_SCAN_H

#include "region/row.h"
#include "unwind/cfi.h"

struct scan_function {
	uint64_t begin;	     /* vaddr, without a Thumb bit */
	const uint8_t *code; /* its bytes by the file */
	size_t len;
	bool thumb;
};

enum { SCAN_REGS = 16, SCAN_EITHER = -1 };

/* What is known of a frame at one instruction. */
struct scan_frame {
	uint8_t base;	/* r13, r11 or r7: CFA = r[base] + cfa_offset */
	bool root;	/* the outermost frame: it has set lr to 0 */
	bool lr_intact; /* lr still holds the return address, if no callee has it now */
	int32_t cfa_offset;
	int32_t frame_pointer; /* CFA - r7 (Thumb) or r11, where that is known too; else 0 */
	/* r[n] was saved at CFA - at[n]; 0: it was not; SCAN_EITHER: on some ways only */
	int32_t at[SCAN_REGS];
};

/*
 * The frame at the instruction that vaddr is in (for a return address the caller passes
 * pc - 1).  -ENOENT: not known for certain: vaddr is not reached, or on two ways with
 * different results; sp depends on a value; the code is too long.  -ENOMEM.
 */
int scan_find(const struct scan_function *function, uint64_t vaddr, struct scan_frame *ret);
/* .. and not where no way through the function leads to. */
int scan_find_reached(const struct scan_function *function, uint64_t vaddr,
		      struct scan_frame *ret);

/*
 * The same where the function's begin is not known: the nearest instruction before vaddr
 * that saves lr, from which the code leads to vaddr, is taken for its first.  `around`:
 * code that begins at or before the function, at an instruction.
 */
int scan_find_around(const struct scan_function *around, uint64_t vaddr,
		     struct scan_frame *ret);

/* Does a call end the four bytes before a return address? */
bool scan_is_behind_call(const uint8_t code[4], bool thumb);

/* As a row with ROW_GUESS.  `exact`: the frame was interrupted here, it is not in a call,
 * so that its return address may be in lr still.  -ENOENT (and ROW_CFA_NONE): it is not known
 * where the return address is. */
int scan_row(const struct scan_frame *frame, bool exact, struct row *ret);

/* Steps to the caller, as cfi_step(). */
int scan_step(const struct scan_frame *frame, struct memory *memory, struct full_regs *regs,
	      uint64_t *cfa, uint8_t *flags);

#endif
