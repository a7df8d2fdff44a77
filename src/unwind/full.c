/*
 * Frame by frame with cfi_step(), by the rules of region/walk.h: the CFA grows except
 * across a signal frame, pc 0 and an undefined return address are the root.
 */
#include "unwind/full.h"

#include <errno.h>

static uint64_t known(const struct full_regs *regs, int reg)
{
	return reg >= 0 && (regs->known >> reg & 1) ? regs->value[reg] : 0;
}

/* The compact walk takes over: where there is no unwind data it knows what else to try. */
static size_t hand_over(const struct full_ops *ops, const struct arch *arch,
			const struct full_regs *regs, bool exact, frame_t *frames, size_t max,
			enum walk_end *end)
{
	struct walk_regs at = {
		.pc = known(regs, arch->reg_pc),
		.sp = known(regs, arch->reg_sp),
		.fp = known(regs, arch->reg_fp),
		.lr = known(regs, arch->reg_lr),
	};
	size_t count = walk_stack(ops->rest, &at, exact, frames, max, end);

	if (*end == WALK_FULL) /* again, beyond a frame without data: nothing more is certain */
		*end = WALK_NO_DATA;
	return count;
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

size_t full_walk(const struct full_ops *ops, const struct arch *arch, struct full_regs *regs,
		 bool exact, frame_t *frames, size_t max, enum walk_end *end)
{
	size_t count = 0;

	while (count < max) {
		uint64_t pc = known(regs, arch->reg_pc) & arch->code_mask;
		uint64_t sp = known(regs, arch->reg_sp), cfa = 0, vaddr = 0;
		struct cfi *cfi = NULL;
		uint8_t flags = 0;
		int failed;

		if (count && !pc) {
			*end = WALK_ROOT;
			return count;
		}
		if (!ops->lookup(ops->arg, pc, exact ? pc : pc - 1, &frames[count], &cfi,
				 &vaddr))
			return count + hand_over(ops, arch, regs, exact, frames + count,
						 max - count, end);
		frames[count++] |= exact ? FRAME_EXACT : 0;
		failed = cfi_step(cfi, vaddr, ops->memory, regs, &cfa, &flags);
		if (failed == -ENOENT)
			return count - 1 +
			       hand_over(ops, arch, regs, exact, frames + count - 1,
					 max - count + 1, end);
		if (failed || (!(flags & ROW_SIGNAL) && cfa <= sp)) {
			*end = failed ? end_of_step(failed) : WALK_LOOP;
			return count;
		}
		exact = flags & ROW_SIGNAL;
	}
	*end = WALK_DEPTH;
	return count;
}
