/*
 * Whose is the signal that a thread stops by: our trap's, or the program's?
 *
 * An event is counted once, also when another signal is reported at the trap before
 * ours: a thread that stands at the trap with our signal still pending is counted at
 * once, and the signal swallowed when it comes.
 */
#include <signal.h>
#include <string.h>

#include "capture/engine.h"

int engine_trap_signal(struct engine *engine, struct thread *thread)
{
	const struct arch *arch = engine->tracee.arch;
	struct regs *regs = thread_regs(&engine->tracee, thread);

	return regs ? traps_signal_at(&engine->traps, regs_read(arch, regs, arch->reg_pc)) : 0;
}

/* Ours is not blocked, from the trap's begin to its end; one of the program's may be. */
static bool signal_is_pending(pid_t tid, int signo)
{
	struct status status;

	return status_read(tid, 0, &status) == 0 &&
	       (status.pending & ~status.blocked & signal_bit(signo));
}

/*
 * A signal of the program's own may come at the very same pc as our trap's: the kernel
 * reports it before the thread runs on.  Counting an event twice does no harm (book.h),
 * and a signal without a handler has no effect; but where the program catches every
 * signal that the trap could be (`contested`), its own must reach it.  Then a counted
 * trap is marked in the result register of tkill(), which the trap's code uses no more.
 */
enum { COUNTED = 1 };

static bool is_counted(const struct engine *engine, const struct regs *regs)
{
	const struct arch *arch = engine->tracee.arch;

	return engine->traps.contested && regs_word(arch, regs, arch->syscall_result_offset) != 0;
}

static void count(struct engine *engine, struct thread *thread, int signo)
{
	const struct arch *arch = engine->tracee.arch;

	if (signo != SIGTRAP && engine->traps.contested) {
		arch_put_word(arch, thread->regs.bytes + arch->syscall_result_offset, COUNTED);
		thread_regs_touch_first(thread, (uint32_t)arch->syscall_result_offset +
							arch->word_size);
	}
	engine_trap(engine, thread);
}

void engine_trap_overtaken(struct engine *engine, struct thread *thread)
{
	struct engine_thread *own = engine_thread(thread);
	int signo = engine_trap_signal(engine, thread);

	if (!own || own->swallow || !signo || !signal_is_pending(thread->tid, signo))
		return;
	if (signo != SIGTRAP && is_counted(engine, &thread->regs))
		return; /* what is pending is the program's */
	own->swallow = signo;
	count(engine, thread, signo);
}

/* By the break instruction; a kill() of somebody's is SI_USER. */
static bool sent_by_break(pid_t tid)
{
	siginfo_t info;

	return thread_siginfo(tid, &info) && info.si_code == SI_KERNEL;
}

bool engine_is_our_signal(struct engine *engine, struct stop *stop)
{
	struct engine_thread *own = engine_thread(stop->thread);
	struct thread *thread = stop->thread;

	if (!own || (stop->signal != engine->traps.signo && stop->signal != SIGTRAP &&
		     stop->signal != own->swallow))
		return false;
	if (stop->signal == SIGTRAP && (!engine->traps.hard || !sent_by_break(thread->tid)))
		return false;
	if (own->swallow == stop->signal) {
		own->swallow = 0;
		if (engine_trap_signal(engine, thread) == stop->signal)
			engine_close_trap(engine, thread, stop->signal);
		return true;
	}
	if (engine_trap_signal(engine, thread) != stop->signal)
		return false;
	if (stop->signal != SIGTRAP && is_counted(engine, &thread->regs))
		return false;
	count(engine, thread, stop->signal);
	engine_close_trap(engine, thread, stop->signal);
	return true;
}
