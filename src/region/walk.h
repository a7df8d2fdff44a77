/*
 * The frame walker: rows and stack memory in, frames out.  Freestanding (no
 * libc, no allocation, bounded): a later engine compiles it into the target.
 *
 *   pc,sp,fp --> row(pc) --> CFA --> read return address, saved fp --> next frame
 *
 * Rules it keeps, so that no stack is guessed silently:
 *  - a frame without a row is followed by frame pointer only if the fp chain is
 *    plausible (aligned, above sp, within the stack), and every frame found this
 *    way carries FRAME_GUESS;
 *  - the CFA grows from frame to frame, except across a signal frame and where unwind
 *    data takes it from a register that is not sp, and a call is what lies there: such
 *    code switches stacks (__morestack).  Otherwise, and when a state comes again, the
 *    walk ends with WALK_LOOP;
 *  - a word that is no code address is no frame: it ends the walk with WALK_NO_CODE;
 *  - the walk always says why it ended.
 */
#ifndef MEMTRACE_WALK_H
#define MEMTRACE_WALK_H

#include <stddef.h>

#include "region/frame.h"
#include "region/row.h"

/* Why a walk ended.  Stable numbers: they are stored in the region. */
enum walk_end {
	WALK_ROOT = 0,	  /* the outermost frame: return address undefined, or pc 0 */
	WALK_DEPTH = 1,	  /* the limit of frames was reached */
	WALK_NO_DATA = 2, /* no unwind data for the last frame's module, fp chain implausible */
	WALK_NO_MODULE = 3,  /* the last frame is in no module: generated code */
	WALK_UNREADABLE = 4, /* the stack could not be read there */
	WALK_LOOP = 5,	  /* the stack pointer did not advance: damaged stack or wrong data */
	WALK_FULL = 6,	  /* met ROW_CFA_FULL: walk again with unwind/full.h.  Never stored */
	WALK_LOST = 7,	  /* the region was full: the stack was not kept */
	WALK_NO_CODE = 8, /* the return address behind the last frame is no code address */
	WALK_ALONE = 9,	  /* no memtrace was there to say what is behind the last frame */
	WALK_ENDS
};

struct walk_regs {
	uint64_t pc, sp, fp, lr; /* lr: 0 where the architecture has none */
};

struct walk_ops {
	/* The row for pc and the frame that pc is (instance and offset; flags are
	 * the walker's).  lookup_pc is where to search: pc, or pc - 1 when pc is a
	 * return address.  Never fails: row->cfa is ROW_CFA_NONE where nothing is
	 * known.  The result is used before the next call. */
	const struct row *(*row)(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame);
	/* One word (word_size bytes, zero-extended) of target memory; 0 or < 0. */
	int (*read_word)(void *arg, uint64_t addr, uint64_t *ret);
	void *arg;
	unsigned word_size; /* 4 or 8 */
	uint64_t code_mask; /* and-ed to return addresses: strips PAC; ~0 on x86-64.  A Thumb
			     * bit may pass, for row() to see */
	bool record_below;  /* the saved pair lies at the lower end of its frame, so that its
			     * caller's sp is known by the caller's pair alone (AArch64) */
	bool record_behind; /* it lies in front of where fp points, which is the caller's sp
			     * (RISC-V) */
	bool no_chain;	    /* frame pointers are not chained (32-bit ARM): no row, no step */
	bool no_guess;	    /* where they would be, the walk ends with WALK_FULL */
	uint64_t first_sp; /* sp as the kernel set it at exec, where argc lies: a frame there is
			    * the process's outermost, row or not.  0: not known */
};

/* Where a walk is. */
struct walk_state {
	uint64_t pc, sp, fp, lr;
	bool exact;   /* pc is the instruction itself, not a return address */
	bool guess;   /* this frame was found without unwind data */
	bool lr_live; /* lr still holds this frame's return address: a leaf */
};

/* A walk that comes to a state again would do so for ever: it is held against one that was
 * met, which is moved up at every power of two (Brent's algorithm). */
struct walk_cycle {
	uint64_t pc, sp, fp;
	size_t steps, limit;
};

static inline bool walk_cycle_closes(struct walk_cycle *cycle, uint64_t pc, uint64_t sp,
				     uint64_t fp)
{
	if (cycle->limit && cycle->pc == pc && cycle->sp == sp && cycle->fp == fp)
		return true;
	if (cycle->steps++ == cycle->limit)
		*cycle = (struct walk_cycle){pc, sp, fp, 0, cycle->limit * 2 + 1};
	return false;
}

/*
 * One step: *frame becomes the frame at *state (flags included), *state its caller.
 * WALK_ENDS: the walk goes on there; otherwise why it can't, with *state as it was.
 * WALK_NO_CODE: what is at *state is no frame at all.
 */
enum walk_end walk_step(const struct walk_ops *ops, struct walk_state *state, frame_t *frame);

/* Is ra in a module, where a call may have come from? */
bool walk_is_call(const struct walk_ops *ops, uint64_t ra);

/*
 * Walks from regs, leaf first, at most max frames into frames[].
 * `exact` says whether regs->pc is the instruction itself (an interrupted
 * thread) or a return address.  *end: why it ended.  Returns the count (0 if max is 0
 * or regs->pc is no code address).
 */
size_t walk_stack(const struct walk_ops *ops, const struct walk_regs *regs, bool exact,
		  frame_t *frames, size_t max, enum walk_end *end);

#endif
