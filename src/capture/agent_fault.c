/* See agent_fault.h.  Where the read is, and where it goes on, the blob's head says (agent/blob.h). */
#include "capture/agent_fault.h"

#include <signal.h>

bool agent_fault_pass(struct engine *engine, struct thread *thread, int signo)
{
	const struct blob_head *head = (const struct blob_head *)blob_bytes;
	const struct arch *arch = engine->tracee.arch;
	struct regs *regs;
	taddr_t base;
	siginfo_t info;

	if (signo != SIGSEGV || !engine->resident.injected.entry)
		return false;
	base = engine->undoing.undo->agent.base;
	regs = thread_regs(&engine->tracee, thread);
	if (!regs || regs_read(arch, regs, arch->reg_pc) != base + head->pointer_read ||
	    !thread_siginfo(thread->tid, &info) || info.si_code <= 0)
		return false;
	regs_write(arch, regs, arch->reg_pc, base + head->without_pointer);
	thread_regs_touch(thread);
	thread->deliver = 0;
	engine->resident.faults = true;
	return true;
}
