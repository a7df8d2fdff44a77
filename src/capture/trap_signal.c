/*
 * An event is counted once, also when another signal is reported at the trap before
 * ours: a thread that is stopped at the trap with our signal still pending is counted at
 * once, and the signal dropped when it comes.
 *
 *                            stopped by      at a trap of it    pending there
 *    ours                    its signal      yes
 *    ours, counted before    its signal      (mostly)                         data->counted
 *    overtaking              another, none   yes                yes
 *    blocked                 its signal      on the way there
 *    the program's           whatever else
 */
#include "capture/trap_signal.h"

#include <signal.h>
#include <string.h>

#include "tracer/status.h"

static struct tracee *tracee_of(const struct traps *traps)
{
	return traps->hooks->process.tracee;
}

int trap_signal_of(const struct traps *traps, struct thread *thread)
{
	const struct arch *arch = tracee_of(traps)->arch;
	struct regs *regs = thread_regs(tracee_of(traps), thread);

	return regs ? traps_signal_at(traps, regs_read(arch, regs, arch->reg_pc)) : 0;
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

static bool is_marked(const struct traps *traps, int signo, const struct regs *regs)
{
	const struct arch *arch = tracee_of(traps)->arch;

	return signo != SIGTRAP && traps->contested &&
	       regs_word(arch, regs, arch->syscall_result_offset) != 0;
}

void trap_signal_mark(const struct traps *traps, struct thread *thread, int signo)
{
	const struct arch *arch = tracee_of(traps)->arch;

	if (signo == SIGTRAP || !traps->contested)
		return;
	arch_put_word(arch, thread->regs.bytes + arch->syscall_result_offset, COUNTED);
	thread_regs_touch_first(thread,
				(uint32_t)arch->syscall_result_offset + arch->word_size);
}

/* Is the trap's own signal still to come?  (Of a marked trap what is pending is the
 * program's.) */
static bool is_owed(const struct traps *traps, struct thread *thread, int counted, int signo)
{
	return signo && !counted && signal_is_pending(thread->tid, signo) &&
	       !is_marked(traps, signo, &thread->regs);
}

/* By the break instruction; a kill() of somebody's is SI_USER. */
static bool sent_by_break(pid_t tid)
{
	siginfo_t info;

	return thread_siginfo(tid, &info) && info.si_code == SI_KERNEL;
}

/* May a trap be reported by it? */
static bool may_be_ours(const struct traps *traps, struct thread *thread, int signo)
{
	return signo == SIGTRAP ? traps->hard && sent_by_break(thread->tid)
				: signo == traps->signo;
}

struct trap_verdict trap_signal_judge(const struct traps *traps, struct thread *thread, int signo)
{
	const struct thread_data *data = thread->owner;
	int counted = data ? data->counted : 0;
	bool ours = signo && (may_be_ours(traps, thread, signo) ||
			      (signo == counted && signo != SIGTRAP));
	struct trap_verdict verdict = {.trap = trap_signal_of(traps, thread)};

	if (ours && signo == counted)
		verdict.kind = TRAP_COUNTED;
	else if (ours && signo == verdict.trap && !is_marked(traps, signo, &thread->regs))
		verdict.kind = TRAP_OURS;
	else if (signo && blocked_signal_is(traps, thread, signo, &verdict.blocked))
		verdict.kind = TRAP_BLOCKED;
	else if (is_owed(traps, thread, counted, verdict.trap))
		verdict.kind = TRAP_OVERTAKING;
	return verdict;
}
