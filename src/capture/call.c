/*
 * From a stop in a stub to a call.  Where things lie at the trap is described in arch/trap.h
 * (struct stub_area).
 */
#include "capture/call.h"

#include <errno.h>

static int returned_read(struct walker *walker, const struct regs *regs, struct call *call)
{
	const struct arch *arch = walker->tracee->arch;
	taddr_t sp = regs_read(arch, regs, arch->reg_sp);

	if (walker_read_stack(walker, sp) ||
	    walker_word(walker, sp + (taddr_t)arch->trap->result, &call->result))
		return -EFAULT;
	for (unsigned i = 0; i < 3; i++)
		if (walker_word(walker, sp + (taddr_t)arch->trap->args + i * arch->word_size,
				&call->argument[i]))
			return -EFAULT;
	call->slot = sp + (taddr_t)arch->trap->frame;
	return 0;
}

static void more_arguments_read(struct walker *walker, taddr_t sp, struct call *call)
{
	const struct arch *arch = walker->tracee->arch;

	walker_read_stack(walker, sp);
	for (unsigned i = 1; i < CALL_ARGUMENTS; i++) {
		taddr_t at =
			i == 3 ? sp + (taddr_t)arch->trap->arg3
			       : sp + (taddr_t)arch->trap->entry_args + i * arch->word_size;

		walker_word(walker, at, &call->argument[i]);
	}
}

/* A free needs no stack at all. */
static void entered_read(struct walker *walker, const struct regs *regs, struct call *call)
{
	const struct arch *arch = walker->tracee->arch;
	taddr_t sp = regs_read(arch, regs, arch->reg_sp);

	call->slot = sp + (taddr_t)arch->trap->entry_frame;
	call->argument[0] = regs_read(arch, regs, arch->trap->arg0);
	if (call->function->call == CALL_PRCTL || call->function->call == CALL_MUNMAP ||
	    call->function->call == CALL_MREMAP)
		more_arguments_read(walker, sp, call);
}

int call_read(const struct traps *traps, struct walker *walker, struct thread *thread,
	      struct call *ret)
{
	const struct arch *arch = walker->tracee->arch;
	const struct regs *regs = thread_regs(walker->tracee, thread);
	const struct hook *hook;
	bool entered;

	if (!regs)
		return -ESRCH;
	hook = traps_hook_at(traps, regs_read(arch, regs, arch->trap->site), &entered);
	if (!hook)
		return -ENOENT;
	*ret = (struct call){.function = hook->function,
			     .instance = hook->instance,
			     .frame = hook->frame,
			     .address = hook->address,
			     .entered = entered};
	if (!entered)
		return returned_read(walker, regs, ret);
	entered_read(walker, regs, ret);
	return 0;
}
