/* The walk of walk_body.h for those who give it their row() and read_word() as pointers. */
#include "region/walk_body.h"

enum walk_end walk_step(const struct walk_ops *ops, struct walk_state *state, frame_t *frame)
{
	return walk_body_step(ops, state, frame);
}

bool walk_is_call(const struct walk_ops *ops, uint64_t ra)
{
	return walk_body_is_call(ops, ra);
}

size_t walk_stack(const struct walk_ops *ops, const struct walk_regs *regs, bool exact,
		  frame_t *frames, size_t max, enum walk_end *end)
{
	return walk_body_stack(ops, walk_step, regs, exact, frames, max, end);
}
