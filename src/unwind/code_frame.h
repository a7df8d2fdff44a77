/*
 * Frames of code that no call frame information describes, on CPUs whose functions lower sp once
 * and save the return address and what they must keep above it: what the code itself, or another
 * table, says of them, and what follows from that.
 */
#ifndef MEMTRACE_CODE_FRAME_H
#define MEMTRACE_CODE_FRAME_H

#include "region/row.h"
#include "unwind/cfi.h"
#include "unwind/unwinder.h"

enum { CODE_FRAME_REGS = 32 };

/* What is known of a frame at one instruction. */
struct code_frame {
	uint8_t base;	    /* sp, or one that functions keep: CFA = r[base] + cfa_offset */
	bool guess;	    /* by the code */
	bool root;	    /* the outermost one */
	int32_t cfa_offset; /* 0: it has no frame (yet) */
	int32_t at[CODE_FRAME_REGS]; /* callee-saved register n was saved at CFA - at[n]; 0: not */
};

/* As a row.  `exact`: the frame was interrupted here, its return address may be in its register
 * still.  -ENOENT (and ROW_CFA_NONE): it is not known where that is. */
int code_frame_row(const struct arch *arch, const struct code_frame *frame, bool exact,
		   struct row *ret);

/* Steps to the caller, as cfi_step(). */
int code_frame_step(const struct arch *arch, const struct code_frame *frame, bool exact,
		    struct memory *memory, struct full_regs *regs, uint64_t *cfa,
		    uint8_t *flags);

/* How a CPU's code is read. */
struct code_reader {
	/* From a function's first instruction, len bytes of which lie in front of the place.
	 * -ENOENT: sp depends on a value. */
	int (*scan)(const struct arch *arch, const uint8_t *code, size_t len,
		    struct code_frame *ret);
	/* Where the code, of which the last instruction is in front of the place, may begin a
	 * function that has a frame there: its offset, or -ENOENT. */
	int64_t (*begin)(const struct arch *arch, const uint8_t *code, size_t len);
};

/* The code of an image. */
struct code_place {
	struct image *image;
	const struct arch *arch;
	const struct code_reader *reader;
};

/* Where the function around a place begins, by its symbol; where there is none *begin is left and
 * `known` (by something else) returned.  *symbol: of it, if it has one (type STT_FUNC). */
bool code_function_begin(const struct code_place *code, uint64_t vaddr, bool known,
			 uint64_t *begin, struct image_symbol *symbol);

/* Is it the program's first function, which nobody called?  (A table may not have that, and say a
 * function in front of it, then.) */
bool code_is_start(const struct code_place *code, uint64_t vaddr, bool known, uint64_t begin);

/* The frame at a place by the code between the function's begin, if that is known, and it. */
int code_scan(const struct code_place *code, uint64_t vaddr, bool known, uint64_t begin,
	      struct code_frame *ret);

#endif
