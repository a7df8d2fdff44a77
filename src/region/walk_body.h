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
 *
 * All of it is inline, so that who knows its row() and read_word() when it is compiled (the
 * walker of capture/, an agent in the target) calls them directly: give it a struct walk_ops
 * that is a constant of the calling function's.  Others call walk.h, by pointers.
 */
#ifndef MEMTRACE_WALK_BODY_H
#define MEMTRACE_WALK_BODY_H

#include "region/walk.h"

#define WALK_BODY inline __attribute__((always_inline))

typedef enum walk_end walk_body_step_fn(const struct walk_ops *ops, struct walk_state *state,
					frame_t *frame);

enum {
	/* How far above sp a frame pointer may be without unwind data to vouch for
	 * it: larger frames exist, but so do registers that hold any address. */
	WALK_BODY_FP_REACH = 1 << 20,
	WALK_BODY_FIRST_FRAME = 64, /* what aligning sp may take of it */
};

static WALK_BODY int walk_body_word(const struct walk_ops *ops, uint64_t addr, uint64_t *ret)
{
	return ops->read_word(ops->arg, addr, ret);
}

/* sp + 8, and 8 more behind the push of a lazily bound PLT entry. */
static WALK_BODY uint64_t walk_body_plt(const struct walk_state *s, const struct row *row,
					unsigned pushed_at)
{
	return s->sp + (uint64_t)row->cfa_offset + ((s->pc & 15) >= pushed_at ? 8 : 0);
}

static WALK_BODY enum walk_end walk_body_cfa(const struct walk_ops *ops,
					     const struct walk_state *s, const struct row *row,
					     uint64_t *ret)
{
	uint64_t offset = (uint64_t)row->cfa_offset;

	switch ((enum row_cfa)row->cfa) {
	case ROW_CFA_SP:
		*ret = s->sp + offset;
		return WALK_ENDS;
	case ROW_CFA_FP:
		*ret = s->fp + offset;
		return WALK_ENDS;
	case ROW_CFA_SP_DEREF:
		return walk_body_word(ops, s->sp + offset, ret) ? WALK_UNREADABLE : WALK_ENDS;
	case ROW_CFA_FP_DEREF:
		return walk_body_word(ops, s->fp + offset, ret) ? WALK_UNREADABLE : WALK_ENDS;
	case ROW_CFA_PLT:
		*ret = walk_body_plt(s, row, 11);
		return WALK_ENDS;
	case ROW_CFA_PLT9:
		*ret = walk_body_plt(s, row, 9);
		return WALK_ENDS;
	case ROW_CFA_ROOT:
		return WALK_ROOT;
	case ROW_CFA_FULL:
		return WALK_FULL;
	case ROW_CFA_NONE:
	case ROW_CFA_NO_CODE:
		break;
	}
	return WALK_NO_DATA;
}

static WALK_BODY bool walk_body_is_call(const struct walk_ops *ops, uint64_t ra)
{
	frame_t caller = 0;

	ops->row(ops->arg, ra, ra - 1, &caller);
	return frame_instance(caller) != FRAME_NOWHERE;
}

/* May a stack go on at a lower address than this frame's?  If unwind data takes the CFA from
 * where the other stack's address was kept, and a call returns there. */
static WALK_BODY bool walk_body_switches(const struct walk_ops *ops, const struct walk_state *s,
					 const struct row *row, uint64_t cfa, uint64_t ra)
{
	bool kept = row->cfa == ROW_CFA_FP || row->cfa == ROW_CFA_FP_DEREF ||
		    row->cfa == ROW_CFA_SP_DEREF;

	return kept && cfa != s->sp && !s->guess && !(row->flags & ROW_GUESS) &&
	       walk_body_is_call(ops, ra);
}

/* The value that a register had in the caller; `same` is its value here. */
static WALK_BODY enum walk_end walk_body_restore(const struct walk_ops *ops,
						 const struct walk_state *s, uint8_t where,
						 int16_t offset, uint64_t cfa, uint64_t same,
						 uint64_t *ret)
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
		base = s->sp;
		break;
	case ROW_AT_FP:
		base = s->fp;
		break;
	default:
		return WALK_NO_DATA;
	}
	return walk_body_word(ops, base + (uint64_t)(int64_t)offset, ret) ? WALK_UNREADABLE
									  : WALK_ENDS;
}

static WALK_BODY enum walk_end walk_body_row(const struct walk_ops *ops, struct walk_state *s,
					     const struct row *row)
{
	bool signal = row->flags & ROW_SIGNAL;
	/* A leaf of a CPU with a link register may not have moved sp at all. */
	bool leaf = row->ra == ROW_SAME && s->lr_live;
	struct walk_state caller;
	uint64_t cfa, ra, fp;
	enum walk_end end;

	end = walk_body_cfa(ops, s, row, &cfa);
	if (end != WALK_ENDS)
		return end;
	if (row->ra == ROW_SAME && !s->lr_live)
		return WALK_NO_DATA;
	end = walk_body_restore(ops, s, row->ra, row->ra_offset, cfa, s->lr, &ra);
	if (end != WALK_ENDS)
		return end;
	end = walk_body_restore(ops, s, row->fp, row->fp_offset, cfa, s->fp, &fp);
	if (end != WALK_ENDS)
		return end;
	ra &= ops->code_mask;
	caller = (struct walk_state){.pc = ra,
				     .sp = cfa,
				     .fp = fp,
				     .exact = signal,
				     .guess = row->flags & ROW_GUESS};
	if (!signal && (leaf ? cfa < s->sp : cfa <= s->sp) &&
	    !walk_body_switches(ops, s, row, cfa, ra))
		return WALK_LOOP;
	if (ra == 0)
		return WALK_ROOT;
	*s = caller;
	return WALK_ENDS;
}

/* Does fp look like a frame pointer at all? */
static WALK_BODY bool walk_body_is_fp(const struct walk_ops *ops, uint64_t sp, uint64_t fp)
{
	return fp != 0 && fp >= sp && fp - sp <= WALK_BODY_FP_REACH && fp % ops->word_size == 0;
}

/*
 * Without a row: [fp] = the caller's fp, [fp + word] = the return address (of record_behind, two
 * words lower), if fp looks like a frame pointer at all.  What it finds must be in a module again,
 * unless this frame is generated code itself, which may call its like, or the caller's fp looks
 * like one, too: a runtime's own ways between generated code and C++ have no rows (V8's builtins).
 */
static WALK_BODY enum walk_end walk_body_chain(const struct walk_ops *ops, struct walk_state *s,
					       bool nowhere)
{
	enum walk_end implausible = nowhere ? WALK_NO_MODULE : WALK_NO_DATA;
	unsigned word = ops->word_size;
	uint64_t at = s->fp - (ops->record_behind ? 2 * word : 0), fp, ra;
	frame_t frame = 0;

	if (ops->no_chain || !walk_body_is_fp(ops, s->sp, at))
		return implausible;
	if (ops->no_guess)
		return WALK_FULL;
	if (walk_body_word(ops, at, &fp) || walk_body_word(ops, at + word, &ra))
		return implausible;
	ra &= ops->code_mask;
	if (ra == 0)
		return WALK_ROOT;
	if (ops->row(ops->arg, ra, ra - 1, &frame)->cfa == ROW_CFA_NO_CODE ||
	    (!nowhere && frame_instance(frame) == FRAME_NOWHERE &&
	     (fp <= at || fp - at > WALK_BODY_FP_REACH || fp % word)))
		return implausible;
	*s = (struct walk_state){.pc = ra, .sp = at + 2 * word, .fp = fp, .guess = true};
	if (ops->record_below && fp > at && fp - at <= WALK_BODY_FP_REACH)
		s->sp = fp;
	return WALK_ENDS;
}

/* The dynamic linker's first function has no row; at most, it has aligned its sp. */
static WALK_BODY bool walk_body_is_outermost(const struct walk_ops *ops, uint64_t sp)
{
	return ops->first_sp && ops->first_sp - sp < WALK_BODY_FIRST_FRAME;
}

static WALK_BODY enum walk_end walk_body_step(const struct walk_ops *ops,
					      struct walk_state *state, frame_t *frame)
{
	uint64_t lookup_pc = state->exact ? state->pc : state->pc - 1;
	const struct row *row;
	frame_t at = 0;

	row = ops->row(ops->arg, state->pc, lookup_pc, &at);
	*frame = at | (state->exact ? FRAME_EXACT : 0) | (state->guess ? FRAME_GUESS : 0);
	if (row->cfa == ROW_CFA_NO_CODE)
		return WALK_NO_CODE;
	if (row->cfa == ROW_CFA_NONE && walk_body_is_outermost(ops, state->sp))
		return WALK_ROOT;
	if (row->cfa == ROW_CFA_NONE)
		return walk_body_chain(ops, state, frame_instance(at) == FRAME_NOWHERE);
	return walk_body_row(ops, state, row);
}

/* walk_stack() of walk.h; step: walk_body_step, or walk_step where the code is to be there once. */
static WALK_BODY size_t walk_body_stack(const struct walk_ops *ops, walk_body_step_fn *step,
					const struct walk_regs *regs, bool exact,
					frame_t *frames, size_t max, enum walk_end *end)
{
	struct walk_state state = {
		.pc = regs->pc,
		.sp = regs->sp,
		.fp = regs->fp,
		.lr = regs->lr,
		.exact = exact,
		.lr_live = regs->lr != 0,
	};
	struct walk_cycle cycle = {0};
	size_t count = 0;

	while (count < max) {
		*end = step(ops, &state, &frames[count++]);
		if (*end == WALK_NO_CODE)
			return count - 1;
		if (*end == WALK_ENDS &&
		    walk_cycle_closes(&cycle, state.pc, state.sp, state.fp))
			*end = WALK_LOOP;
		if (*end != WALK_ENDS)
			return count;
	}
	*end = WALK_DEPTH;
	return count;
}

#endif
