/*
 * The frames of a thread that is stopped in a system call, as far as unwind data tells them.
 *
 * Stricter than a walk for a call stack, as code is taken away by what is said here: frames end
 * with the first that is a guess, that a signal has interrupted, that needs all registers, or
 * whose stack goes on at a lower address.  In a system call, and behind a call, call frame
 * information is right also of compilers that do not describe every instruction.
 */
#include "capture/frames.h"

#include <string.h>

enum { SYSCALL_MOST = 4 };

/* Behind the instruction, or in front of it, where the kernel makes the call anew. */
static bool is_in_system_call(const struct walker *walker, taddr_t pc)
{
	const struct arch *arch = walker->tracee->arch;
	uint8_t code[2 * SYSCALL_MOST];

	if (target_read_stopped(&walker->tracee->target, pc - SYSCALL_MOST, code,
				sizeof(code)) != (ssize_t)sizeof(code))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(arch->syscall_insn); i++) {
		size_t len = arch->syscall_insn[i].len;
		const uint8_t *insn = arch->syscall_insn[i].bytes;

		if (len && (!memcmp(code + SYSCALL_MOST - len, insn, len) ||
			    !memcmp(code + SYSCALL_MOST, insn, len)))
			return true;
	}
	return false;
}

/* Nothing is waited for while all threads are stopped. */
static int word_stopped(void *arg, uint64_t addr, uint64_t *ret)
{
	struct walker *walker = arg;
	const struct arch *arch = walker->tracee->arch;
	uint8_t bytes[8];

	if (target_read_stopped(&walker->tracee->target, addr, bytes, arch->word_size) !=
	    (ssize_t)arch->word_size)
		return -1;
	*ret = arch_word(arch, bytes);
	return 0;
}

/* One frame, if it is known: *state becomes its caller; else it stays, as it is where the frame
 * below returns to, which is known (and may be a stub of a memtrace that was killed, from where frame
 * pointers lead on to somewhere else). */
static bool frame_step(const struct walk_ops *ops, struct walk_state *state,
		       struct stack_frame *ret)
{
	struct walk_state caller = *state;
	const struct row *row;
	frame_t frame;

	row = ops->row(ops->arg, state->pc, state->exact ? state->pc : state->pc - 1, &frame);
	if (row->flags & (ROW_SIGNAL | ROW_GUESS))
		return false;
	if (walk_step(ops, &caller, &frame) != WALK_ENDS || caller.guess || caller.sp < state->sp)
		return false;
	*ret = (struct stack_frame){.pc = state->pc, .sp = state->sp, .end = caller.sp};
	*state = caller;
	return true;
}

size_t frames_known(void *arg, struct thread *thread, struct stack_frame *ret, size_t max)
{
	struct walker *walker = arg;
	const struct arch *arch = walker->tracee->arch;
	struct walk_ops ops = walker_ops(walker);
	struct regs *regs = thread_regs(walker->tracee, thread);
	struct walk_state state = {.exact = true};
	size_t count = 0;

	if (!regs)
		return 0;
	state.pc = regs_read(arch, regs, arch->reg_pc);
	state.sp = regs_read(arch, regs, arch->reg_sp);
	state.fp = regs_read(arch, regs, arch->reg_fp);
	if (arch->reg_lr != ARCH_NO_REG)
		state.lr = regs_read(arch, regs, arch->reg_lr) & ops.code_mask;
	state.lr_live = arch->reg_lr != ARCH_NO_REG;
	if (!is_in_system_call(walker, state.pc))
		return 0;
	ops.read_word = word_stopped;
	while (count + 1 < max && frame_step(&ops, &state, &ret[count]))
		count++;
	/* Where the last one that is known returns to. */
	if (count)
		ret[count++] = (struct stack_frame){state.pc, state.sp, state.sp};
	return count;
}
