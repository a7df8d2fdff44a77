/*
 * walk_stack() with cfi_step() in the place of rows, by the same rules: the CFA grows
 * except across a signal frame and where unwind data switches stacks, pc 0 and an
 * undefined return address are the root.
 * A frame without unwind data is left to walk_step(); behind it pc, sp and fp are
 * known, and of the others those the ABI preserves, unless the step was a guess.
 */
#include "unwind/full.h"

#include <errno.h>

struct full_walk {
	const struct full_ops *ops;
	const struct arch *arch;
	struct full_regs *regs;
	uint64_t pc;
	bool exact, guess;
	bool leaf; /* a link register may hold its return address: the first frame, or one that
		    * a signal interrupted */
};

static uint64_t known(const struct full_regs *regs, int reg)
{
	return reg >= 0 && (regs->known >> reg & 1) ? regs->value[reg] : 0;
}

static void set(struct full_regs *regs, int reg, uint64_t value)
{
	regs->value[reg] = value;
	regs->known |= 1ull << reg;
}

static enum walk_end step_without_cfi(struct full_walk *w, frame_t *frame)
{
	struct walk_state state = {
		.pc = w->pc,
		.sp = known(w->regs, w->arch->reg_sp),
		.fp = known(w->regs, w->arch->reg_fp),
		.lr = w->leaf ? known(w->regs, w->arch->reg_lr) : 0,
		.exact = w->exact,
		.guess = w->guess,
	};
	enum walk_end end;

	state.lr_live = state.lr != 0;
	end = walk_step(w->ops->rest, &state, frame);
	if (end == WALK_FULL)
		return WALK_NO_DATA; /* a row for all registers, but no data to go with it */
	if (end != WALK_ENDS)
		return end;
	w->regs->known &= state.guess ? 0 : w->arch->callee_saved;
	set(w->regs, w->arch->reg_pc, state.pc);
	set(w->regs, w->arch->reg_sp, state.sp);
	set(w->regs, w->arch->reg_fp, state.fp);
	w->pc = state.pc;
	w->exact = state.exact;
	w->guess = state.guess;
	return WALK_ENDS;
}

static enum walk_end end_of_step(int code)
{
	switch (code) {
	case -ENODATA:
		return WALK_ROOT;
	case -EFAULT:
		return WALK_UNREADABLE;
	default:
		return WALK_NO_DATA;
	}
}

static enum walk_end step(struct full_walk *w, frame_t *frame)
{
	uint64_t sp = known(w->regs, w->arch->reg_sp), cfa = 0;
	bool guess = w->guess, stuck;
	uint8_t flags = 0;
	int failed;

	*frame = 0;
	failed = w->ops->step(w->ops->arg, w->pc, w->exact ? w->pc : w->pc - 1, frame, w->regs,
			      &cfa, &flags);
	if (failed == -ENOENT)
		return step_without_cfi(w, frame);
	*frame |= (w->exact ? FRAME_EXACT : 0) | (w->guess ? FRAME_GUESS : 0);
	if (failed)
		return end_of_step(failed);
	/* A leaf of a CPU with a link register may not have moved sp at all. */
	stuck = w->leaf && w->arch->reg_lr != ARCH_NO_REG ? cfa < sp : cfa <= sp;
	w->pc = w->regs->value[w->arch->reg_pc] & (w->arch->code_mask | w->arch->state_mask);
	w->exact = flags & ROW_SIGNAL;
	w->guess = flags & ROW_GUESS;
	if (stuck && !w->exact &&
	    (cfa == sp || guess || w->guess || !walk_is_call(w->ops->rest, w->pc)))
		return WALK_LOOP;
	return w->pc & w->arch->code_mask ? WALK_ENDS : WALK_ROOT;
}

/* A call overwrites the link register: a caller's is not what was saved of it. */
static void forget_link(struct full_walk *w)
{
	if (!w->leaf && w->arch->reg_lr != ARCH_NO_REG)
		w->regs->known &= ~(1ull << w->arch->reg_lr);
}

size_t full_walk(const struct full_ops *ops, const struct arch *arch, struct full_regs *regs,
		 bool exact, frame_t *frames, size_t max, enum walk_end *end)
{
	struct full_walk w = {
		.ops = ops,
		.arch = arch,
		.regs = regs,
		.pc = known(regs, arch->reg_pc),
		.exact = exact,
		.leaf = true,
	};
	struct walk_cycle cycle = {0};
	size_t count = 0;

	while (count < max) {
		*end = step(&w, &frames[count++]);
		if (*end == WALK_NO_CODE)
			return count - 1;
		if (*end == WALK_ENDS &&
		    walk_cycle_closes(&cycle, w.pc, known(regs, arch->reg_sp),
				      known(regs, arch->reg_fp)))
			*end = WALK_LOOP;
		if (*end != WALK_ENDS)
			return count;
		w.leaf = w.exact;
		forget_link(&w);
	}
	*end = WALK_DEPTH;
	return count;
}
