/*
 * What a stopped thread has: its registers, the signal that it stands at, its signal mask.
 */
#include <elf.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "tracer/threads.h"

#ifndef PTRACE_SETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#define PTRACE_SETSIGMASK 0x420b
#endif

struct regs *thread_regs(const struct tracee *tracee, struct thread *thread)
{
	struct iovec iov = {thread->regs.bytes, tracee->arch->regs_len};

	if (thread->regs_read)
		return &thread->regs;
	if (ptrace(PTRACE_GETREGSET, thread->tid, NT_PRSTATUS, &iov) < 0)
		return NULL;
	thread->regs.len = (uint32_t)iov.iov_len;
	thread->regs_read = true;
	thread->regs_changed = 0;
	return &thread->regs;
}

bool thread_was_killed(const struct thread *thread)
{
	unsigned long message;

	return ptrace(PTRACE_GETEVENTMSG, thread->tid, 0, &message) < 0 && errno == ESRCH;
}

void thread_regs_commit(struct thread *thread)
{
	struct iovec iov = {thread->regs.bytes, thread->regs_changed};

	if (thread->regs_read && thread->regs_changed)
		ptrace(PTRACE_SETREGSET, thread->tid, NT_PRSTATUS, &iov);
	thread->regs_changed = 0;
}

void thread_regs_flush(struct thread *thread)
{
	thread_regs_commit(thread);
	thread->regs_read = false;
}

bool thread_siginfo(pid_t tid, siginfo_t *ret)
{
	return ptrace(PTRACE_GETSIGINFO, tid, 0, ret) == 0;
}

void thread_mask_set(const struct arch *arch, const struct thread *thread, uint64_t mask)
{
	_Alignas(8) uint8_t set[ARCH_SIGNAL_SET] = {0};

	if (arch->signal_set_len > sizeof(mask))
		ptrace(PTRACE_GETSIGMASK, thread->tid, (long)arch->signal_set_len, set);
	arch_put_signal_set(arch, set, mask);
	ptrace(PTRACE_SETSIGMASK, thread->tid, (long)arch->signal_set_len, set);
}
