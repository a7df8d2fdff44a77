/*
 * One frame twice: by its row, as stacks are mostly walked, and by a step with all registers.
 * Both begin with register i = STACK + 8 * i, and a stack of the input's bytes.
 */
#ifndef MEMTRACE_ROW_AND_STEP_H
#define MEMTRACE_ROW_AND_STEP_H

#include "arch/cpu.h"
#include "fuzz.h"
#include "region/walk.h"
#include "unwind/full.h"

enum { STACK = 0x700000 };

struct row_and_step {
	const struct row *row;
	struct memory *stack;
	struct walk_ops ops;
	struct walk_state state; /* for walk_step() */
	struct full_regs regs;	 /* for the other */
};

static inline const struct row *row_and_step_row(void *arg, uint64_t pc, uint64_t lookup_pc,
						 frame_t *frame)
{
	struct row_and_step *both = arg;

	(void)lookup_pc;
	*frame = frame_of(1, pc);
	return both->row;
}

static inline int row_and_step_word(void *arg, uint64_t addr, uint64_t *ret)
{
	struct row_and_step *both = arg;
	uint32_t half;
	int rc;

	if (both->ops.word_size == 8)
		return memory_read(both->stack, addr, ret, sizeof(*ret));
	rc = memory_read(both->stack, addr, &half, sizeof(half));
	*ret = half;
	return rc;
}

/* The struct stays where it is; `exact`: the pc is the frame's own, not a return address. */
static inline void row_and_step_init(struct row_and_step *both, const struct arch *arch,
				     const struct row *row, struct memory *stack, uint64_t pc,
				     bool exact)
{
	bool arm = arch == &arch_arm;

	assert(row->cfa <= ROW_CFA_ROOT && row->ra <= ROW_UNDEFINED &&
	       row->fp <= ROW_UNDEFINED);
	*both = (struct row_and_step){
		.row = row,
		.stack = stack,
		.ops = {.row = row_and_step_row,
			.read_word = row_and_step_word,
			.arg = both,
			.word_size = arm ? 4 : 8,
			.code_mask = arch->code_mask,
			.no_chain = arm},
		.state = {.pc = pc,
			  .sp = STACK + 64,
			  .fp = STACK + 128,
			  .lr = arm ? STACK + 8 * 14 : 0,
			  .exact = exact,
			  .lr_live = arm && exact},
		.regs = {.known = (1ull << ARCH_MAX_REGS) - 1},
	};
	for (int i = 0; i < ARCH_MAX_REGS; i++)
		both->regs.value[i] = STACK + 8 * (uint64_t)i;
	both->regs.value[arch->reg_pc] = pc;
	both->regs.value[arch->reg_sp] = both->state.sp;
	both->regs.value[arch->reg_fp] = both->state.fp;
}

#endif
