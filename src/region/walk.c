/*
 * From one frame to its caller, until there is none.
 *
 * The state of a walk is {pc, sp, fp, lr}: enough for every row but
 * ROW_CFA_FULL.  Each step is the same three questions: which row holds here, what
 * is the CFA, where were the return address and the frame pointer saved.
 *
 *            high
 *   CFA ->  |----------------|  = the caller's sp
 *           | return address |
 *           | saved fp       |
 *           | locals         |
 *    sp ->  |----------------|
 *            low
 *
 * Bounded by construction: every step either writes one frame (at most `max`) or
 * ends the walk, and reads three words at most.
 */
#include "region/walk.h"

enum {
	/* How far above sp a frame pointer may be without unwind data to vouch for
	 * it: larger frames exist, but so do registers that hold any address. */
	FP_REACH = 1 << 20,
};

struct walker {
	const struct walk_ops *ops;
	uint64_t pc, sp, fp, lr;
	bool exact;   /* pc is the instruction itself, not a return address */
	bool guess;   /* this frame was found without unwind data */
	bool lr_live; /* lr still holds a return address: frame 0 */
};

static int read_word(const struct walker *w, uint64_t addr, uint64_t *ret)
{
	return w->ops->read_word(w->ops->arg, addr, ret);
}

/* sp + 8, and 8 more behind the push of a lazily bound PLT entry. */
static uint64_t plt_cfa(const struct walker *w, const struct row *row, unsigned pushed_at)
{
	return w->sp + (uint64_t)row->cfa_offset + ((w->pc & 15) >= pushed_at ? 8 : 0);
}

static enum walk_end find_cfa(const struct walker *w, const struct row *row, uint64_t *ret)
{
	uint64_t offset = (uint64_t)row->cfa_offset;

	switch ((enum row_cfa)row->cfa) {
	case ROW_CFA_SP:
		*ret = w->sp + offset;
		return WALK_ENDS;
	case ROW_CFA_FP:
		*ret = w->fp + offset;
		return WALK_ENDS;
	case ROW_CFA_SP_DEREF:
		return read_word(w, w->sp + offset, ret) ? WALK_UNREADABLE : WALK_ENDS;
	case ROW_CFA_FP_DEREF:
		return read_word(w, w->fp + offset, ret) ? WALK_UNREADABLE : WALK_ENDS;
	case ROW_CFA_PLT:
		*ret = plt_cfa(w, row, 11);
		return WALK_ENDS;
	case ROW_CFA_PLT10:
		*ret = plt_cfa(w, row, 10);
		return WALK_ENDS;
	case ROW_CFA_ROOT:
		return WALK_ROOT;
	case ROW_CFA_FULL:
		return WALK_FULL;
	case ROW_CFA_NONE:
		break;
	}
	return WALK_NO_DATA;
}

/* The value that a register had in the caller; `same` is its value here. */
static enum walk_end restore(const struct walker *w, uint8_t where, int16_t offset,
			     uint64_t cfa, uint64_t same, uint64_t *ret)
{
	uint64_t base = cfa;

	switch ((enum row_where)where) {
	case ROW_SAME:
		*ret = same;
		return WALK_ENDS;
	case ROW_UNDEFINED:
		*ret = 0;
		return WALK_ENDS;
	case ROW_AT_CFA:
		break;
	case ROW_AT_SP:
		base = w->sp;
		break;
	case ROW_AT_FP:
		base = w->fp;
		break;
	default:
		return WALK_NO_DATA;
	}
	return read_word(w, base + (uint64_t)(int64_t)offset, ret) ? WALK_UNREADABLE
								   : WALK_ENDS;
}

/* Follows the row.  WALK_ENDS: the walk goes on, in the caller. */
static enum walk_end step_row(struct walker *w, const struct row *row)
{
	bool signal = row->flags & ROW_SIGNAL;
	/* A leaf of a CPU with a link register may not have moved sp at all. */
	bool leaf = row->ra == ROW_SAME && w->lr_live;
	uint64_t cfa, ra, fp;
	enum walk_end end;

	end = find_cfa(w, row, &cfa);
	if (end != WALK_ENDS)
		return end;
	if (row->ra == ROW_SAME && !w->lr_live)
		return WALK_NO_DATA;
	end = restore(w, row->ra, row->ra_offset, cfa, w->lr, &ra);
	if (end != WALK_ENDS)
		return end;
	end = restore(w, row->fp, row->fp_offset, cfa, w->fp, &fp);
	if (end != WALK_ENDS)
		return end;
	if (!signal && (leaf ? cfa < w->sp : cfa <= w->sp))
		return WALK_LOOP;
	w->pc = ra & w->ops->code_mask;
	w->sp = cfa;
	w->fp = fp;
	w->exact = signal;
	w->guess = row->flags & ROW_GUESS;
	w->lr_live = false;
	return w->pc ? WALK_ENDS : WALK_ROOT;
}

/*
 * Without a row: [fp] = the caller's fp, [fp + word] = the return address, if fp
 * looks like a frame pointer at all.  What it finds must be in a module again,
 * unless this frame is generated code itself, which may call its like.
 */
static enum walk_end step_frame_pointer(struct walker *w, bool nowhere)
{
	enum walk_end implausible = nowhere ? WALK_NO_MODULE : WALK_NO_DATA;
	unsigned word = w->ops->word_size;
	uint64_t fp, ra;
	frame_t frame;

	if (w->fp < w->sp || w->fp - w->sp > FP_REACH || w->fp % word || w->fp == 0)
		return implausible;
	if (read_word(w, w->fp, &fp) || read_word(w, w->fp + word, &ra))
		return implausible;
	ra &= w->ops->code_mask;
	if (ra == 0)
		return WALK_ROOT;
	w->ops->row(w->ops->arg, ra, ra - 1, &frame);
	if (!nowhere && frame_instance(frame) == FRAME_NOWHERE)
		return implausible;
	w->sp = w->fp + 2 * word;
	w->fp = fp;
	w->pc = ra;
	w->exact = false;
	w->guess = true;
	w->lr_live = false;
	return WALK_ENDS;
}

size_t walk_stack(const struct walk_ops *ops, const struct walk_regs *regs, bool exact,
		  frame_t *frames, size_t max, enum walk_end *end)
{
	struct walker w = {
		.ops = ops,
		.pc = regs->pc,
		.sp = regs->sp,
		.fp = regs->fp,
		.lr = regs->lr,
		.exact = exact,
		.lr_live = regs->lr != 0,
	};
	size_t count = 0;

	while (count < max) {
		frame_t frame = 0;
		const struct row *row =
			ops->row(ops->arg, w.pc, w.exact ? w.pc : w.pc - 1, &frame);
		bool nowhere = frame_instance(frame) == FRAME_NOWHERE;

		frames[count++] =
			frame | (w.exact ? FRAME_EXACT : 0) | (w.guess ? FRAME_GUESS : 0);
		*end = row->cfa == ROW_CFA_NONE ? step_frame_pointer(&w, nowhere)
						: step_row(&w, row);
		if (*end != WALK_ENDS)
			return count;
	}
	*end = WALK_DEPTH;
	return count;
}
