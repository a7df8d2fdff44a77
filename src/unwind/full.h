/*
 * A walk with all registers, for stacks on which a frame's row is ROW_CFA_FULL: its
 * CFA hangs on a register that the walk over {pc, sp, fp} does not follow
 * (_dl_runtime_resolve of glibc: rbx), or on an unusual expression.  It is done from
 * the first frame again, because what such a frame needs was saved by its callees.
 * Slower, the same frames otherwise.
 */
#ifndef MEMTRACE_FULL_H
#define MEMTRACE_FULL_H

#include "region/walk.h"
#include "unwind/cfi.h"

struct full_ops {
	/*
	 * Steps regs from pc to the caller, with the unwind data for pc (to be looked up
	 * at lookup_pc: pc, or pc - 1 of a return address), as cfi_step() does.  Sets
	 * *frame, the frame that pc is, in any case.  -ENOENT: there is no such data.
	 */
	int (*step)(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame,
		    struct full_regs *regs, uint64_t *cfa, uint8_t *flags);
	void *arg;
	/* How frames without such data are followed, and what is code.  A row of these that is no guess
	 * must be of code that leaves callee-saved registers alone. */
	const struct walk_ops *rest;
};

/* As walk_stack(): frames leaf first, at most max, *end says why they end (never
 * WALK_FULL: WALK_NO_DATA where even all registers don't do).  regs (pc and sp
 * known at least) are used up. */
size_t full_walk(const struct full_ops *ops, const struct arch *arch, struct full_regs *regs,
		 bool exact, frame_t *frames, size_t max, enum walk_end *end);

#endif
