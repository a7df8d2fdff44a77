/*
 * A signal of the trap's number that the program keeps back: it blocks it, and takes it by
 * sigwait() or a signalfd.
 *
 * The trap unblocks the signal, so that one that waits (the thread's or the process's) is
 * dequeued there, and having no handler would be lost.  A thread that has it blocked,
 * by the mask that the trap saved, is therefore treated so:
 *
 *   at trap.pc, our own signal seen     the mask is set back at once, by PTRACE_SETSIGMASK
 *                                       (Linux 3.11), not only by the trap's last call:
 *                                       nothing comes any more, what comes waits
 *   between trap.open and trap.pc       the signal is another's, as ours is not sent yet;
 *                                       the thread is moved to trap.pc and the trap
 *                                       counted, the mask set back, the signal passed on;
 *                                       the kernel finds it blocked and puts it back into
 *                                       its queue (ptrace_signal() in kernel/signal.c)
 *
 * Ours comes before the process's own at trap.pc: the thread's queue is looked at first
 * (dequeue_signal()).  The mask is in a register there, so a thread that does not block the
 * signal costs nothing.
 */
#include "capture/blocked_signal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/kernel.h"

/* The mask that a trap has put aside.  False: it can't be read. */
static bool mask_read(struct tracee *tracee, const struct regs *regs, uint64_t *ret)
{
	const struct arch *arch = tracee->arch;
	uint8_t set[8];

	if (target_read(&tracee->target,
			regs_read(arch, regs, arch->reg_sp) + (taddr_t)arch->trap->mask, set,
			sizeof(set)))
		return false;
	*ret = arch_signal_set(arch, set);
	return true;
}

void blocked_signal_close_trap(struct tracee *tracee, struct thread *thread, int signo)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, thread);
	uint64_t mask = regs && signo != SIGTRAP ? regs_read(arch, regs, arch->trap->mask_reg)
						 : 0;

	if (mask & signal_bit(signo) &&
	    (arch->word_size == sizeof(mask) || mask_read(tracee, regs, &mask)))
		thread_mask_set(arch, thread, mask);
}

bool blocked_signal_is(const struct traps *traps, struct thread *thread, int signo,
		       struct blocked_signal *ret)
{
	struct tracee *tracee = traps->hooks->process.tracee;
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, thread);
	uint8_t argument[8];
	taddr_t sp;

	if (signo != traps->signo || !regs)
		return false;
	ret->trap_pc = traps_open_at(traps, regs_read(arch, regs, arch->reg_pc));
	sp = regs_read(arch, regs, arch->reg_sp);
	if (!ret->trap_pc || !mask_read(tracee, regs, &ret->mask) ||
	    !(ret->mask & signal_bit(signo)) ||
	    target_read(&tracee->target, sp + (taddr_t)arch->trap->entry_args, argument,
			arch->word_size))
		return false;
	ret->argument = arch_word(arch, argument);
	return true;
}

void blocked_signal_end_trap(struct tracee *tracee, struct thread *thread,
			     const struct blocked_signal *blocked)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, thread);

	if (!regs)
		return;
	/* First: with the mask back it must not send ours, if we are killed now. */
	regs_write(arch, regs, arch->reg_pc, blocked->trap_pc);
	regs_write(arch, regs, arch->trap->arg0, blocked->argument); /* may not be there yet */
	thread_regs_touch(thread);
	thread_regs_commit(thread);
	thread_mask_set(arch, thread, blocked->mask);
}

/* Kernels before 5.17 put back into the thread's queue what was the process's. */
static bool kernel_puts_back(void)
{
	return kernel_is_since(5, 17);
}

/* Sends it anew.  Its sender and value only where the kernel lets us say them. */
static void send_again(struct tracee *tracee, struct thread *thread, siginfo_t *info)
{
	pid_t pid = thread->sharer ? thread->tid : tracee->pid;

	if (info->si_code >= 0 || syscall(SYS_rt_sigqueueinfo, pid, info->si_signo, info))
		kill(pid, info->si_signo);
	thread->deliver = 0;
}

void blocked_signal_wait_again(struct tracee *tracee, struct thread *thread)
{
	siginfo_t info;

	if (!kernel_puts_back() && thread_siginfo(thread->tid, &info) &&
	    info.si_code != SI_TKILL)
		send_again(tracee, thread, &info);
}
