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
	/* The unwind data for pc (looked up at lookup_pc), its virtual address there,
	 * and the frame that pc is.  False: there is none. */
	bool (*lookup)(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame,
		       struct cfi **cfi, uint64_t *vaddr);
	void *arg;
	struct memory *memory;
	/* How frames without such data are followed.  A row of these that is no guess
	 * must be of code that leaves callee-saved registers alone. */
	const struct walk_ops *rest;
};

/* As walk_stack(): frames leaf first, at most max, *end says why they end (never
 * WALK_FULL: WALK_NO_DATA where even all registers don't do).  regs (pc and sp
 * known at least) are used up. */
size_t full_walk(const struct full_ops *ops, const struct arch *arch, struct full_regs *regs,
		 bool exact, frame_t *frames, size_t max, enum walk_end *end);

#endif
