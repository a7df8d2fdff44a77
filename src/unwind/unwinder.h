/*
 * How one image is unwound, by all that it has, in order of trust:
 *
 *   signal frames             known by their two instructions (AArch64, RISC-V)
 *   .eh_frame, .debug_frame   exact, everywhere it covers
 *   signal trampolines, exit  known by their two instructions (32-bit ARM)
 *   .ARM.exidx                exact where exceptions may pass; elsewhere "can't unwind"
 *   the code itself           ROW_GUESS (32-bit ARM, where a symbol gives the bounds)
 *
 * MIPS: signal frames, .eh_frame, .debug_frame, and then unwind/mips_unwind.h.  RISC-V: these,
 * and then the code itself (ROW_GUESS).
 */
#ifndef MEMTRACE_UNWINDER_H
#define MEMTRACE_UNWINDER_H

#include "unwind/cfi.h"

struct unwinder;

/* A place in the code: how it was come to decides what holds there. */
struct unwinder_place {
	uint64_t vaddr; /* of the pc, without state bits */
	bool exact;	/* the pc is the instruction itself, else a return address */
	bool thumb;	/* the pc's state bit: of the return address, or the interrupted CPSR */
};

/* Where to look things up: a call is the instruction before the return address. */
static inline uint64_t unwinder_lookup(const struct unwinder_place *place)
{
	return place->exact ? place->vaddr : place->vaddr - 1;
}

/* Never fails for what the file lacks: an unwinder may know nothing.  -ENOMEM; -ENOTSUP: the
 * file is another machine's.  The image must stay open. */
int unwinder_open(struct image *image, const struct arch *arch, struct unwinder **ret,
		  struct err *err) MUST_CHECK;
void unwinder_close(struct unwinder *unwinder); /* NULL is allowed */

/* What there is, for people: ".eh_frame", ".debug_frame", ".ARM.exidx", "none". */
const char *unwinder_from(const struct unwinder *unwinder);

/* The row at a place; ROW_CFA_NONE where nothing is known. */
void unwinder_row(struct unwinder *unwinder, const struct unwinder_place *place,
		  struct row *ret);

/* Steps with all registers, as cfi_step(); -ENOENT: nothing is known. */
int unwinder_step(struct unwinder *unwinder, const struct unwinder_place *place,
		  struct memory *memory, struct full_regs *regs, uint64_t *cfa, uint8_t *flags);

#endif
