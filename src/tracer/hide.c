/*
 * Invisible stops.
 *
 * The kernel restarts most system calls after a stop by itself (ERESTARTSYS and its
 * kin, signal(7) "Interruption of system calls"), but epoll_wait, semop,
 * sigtimedwait, and socket calls with a time limit return a plain EINTR.  At the
 * stop the thread's registers show it: a call's number, and -EINTR as the result.
 * -ERESTARTNOHAND in the result's place leaves the rest to the kernel: behind the
 * stop it makes the call again, unless a handler is to run; then the program sees
 * EINTR.  The call's time limit begins anew, which is the one thing that remains visible.
 *
 * The same holds for a signal that the program ignores: untraced it would not even
 * have been queued; traced it wakes the thread (sig_ignored() in kernel/signal.c).
 *
 * Why no signal is lost, in whatever moment it comes (arch_do_signal_or_restart() in
 * arch/x86/kernel/signal.c, get_signal() and ptrace_stop() in kernel/signal.c).  Our stop
 * lies within get_signal(), which looks for signals again when the stop ends, by
 * PTRACE_CONT, by PTRACE_DETACH, or by our death; only behind it are the registers
 * looked at:
 *
 *   it comes before that look          a handler is found: handle_signal() turns
 *     (all the time they are           -ERESTARTNOHAND into -EINTR and makes the
 *     stopped, and before)             frame: as if there had been no stop
 *   behind that look, and the mask     no handler: the pc is put back on the call, then
 *     of the call alone let it         restore_saved_sigmask().  The signal is blocked,
 *     through (epoll_pwait)            waits, and ends the call that is made again
 *   behind it, and both masks let      its handler runs before the call is made again, as
 *     it through                       for every call that the kernel restarts itself
 *   the call's mask alone kept it      its handler runs before the call is made again:
 *     back                             as if it had come just before the first time
 *
 * It is written to the thread at once, before anything else is looked at: with all
 * threads stopped that may be long before the thread goes on, and if we are killed meanwhile
 * what is not in its registers does not count.
 *
 * Putting the pc back ourselves would make the third row true for as long as all are
 * stopped, and the second wrong.  Stop signals have no handler, but end these calls,
 * too, when the process is continued (signal(7)): the result is put back to -EINTR when one is
 * met.
 */
#include "tracer/hide.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>

/* include/linux/errno.h of the kernel: programs never see it, tracers do. */
enum { ERESTARTNOHAND = 514 };

static bool is_final(const struct arch *arch, int64_t number)
{
	for (const int16_t *at = arch->eintr_final; at && *at >= 0; at++)
		if (*at == number)
			return true;
	return false;
}

/* < 0: the thread was in no call that has failed. */
static int64_t call_number(const struct arch *arch, const struct thread *thread,
			   const struct regs *regs)
{
	long peeked;

	if (!arch->syscall_number_peeked)
		return regs_word(arch, regs, arch->syscall_number_offset);
	errno = 0;
	peeked = ptrace(PTRACE_PEEKUSER, thread->tid, 0, 0);
	return errno || !peeked ? -1 : peeked;
}

/* The number of the call that was ended for a signal, by the registers; < 0: none was.
 * Also when we have changed its result at an earlier stop, behind which it has not run. */
static int64_t call_ended(struct tracee *tracee, struct thread *thread)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, thread);
	int64_t number, result;

	if (!regs || (arch->syscall_number_offset < 0 && !arch->syscall_number_peeked))
		return -1;
	result = regs_syscall_result(arch, regs);
	if (result != -EINTR && result != -ERESTARTNOHAND)
		return -1;
	number = call_number(arch, thread, regs);
	if (number < 0 || is_final(arch, number))
		return -1;
	return result == -EINTR || (result == -ERESTARTNOHAND &&
				    thread->restarted_call == number + 1)
		       ? number
		       : -1;
}

/* A signal that will stop the process. */
static bool stop_waits(const struct status *status)
{
	static const int signals[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
	uint64_t waiting = (status->pending | status->shared_pending) & ~status->blocked &
			   ~status->caught & ~status->ignored;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (waiting & signal_bit(signals[i]))
			return true;
	return false;
}

static void result_write(const struct arch *arch, struct thread *thread, int64_t result)
{
	if (regs_syscall_result(arch, &thread->regs) == result)
		return;
	if (arch->syscall_error.mask) /* which is set, as one error is put for another */
		result = -result;
	arch_put_word(arch, thread->regs.bytes + arch->syscall_result_offset, (uint64_t)result);
	thread_regs_touch_first(thread,
				(uint32_t)arch->syscall_result_offset + arch->word_size);
	thread_regs_commit(thread);
}

static bool hide(struct tracee *tracee, struct thread *thread, int signo)
{
	int64_t number = call_ended(tracee, thread);
	struct status status;
	bool again;

	if (number < 0)
		return false;
	/* A handler turns it into EINTR, too: what is wrong for others is soon put right. */
	result_write(tracee->arch, thread, -ERESTARTNOHAND);
	again = !thread->continued && status_read(thread->tid, 0, &status) == 0 &&
		!stop_waits(&status) && (!signo || status_ignores(&status, signo));
	thread->restarted_call = again ? number + 1 : 0;
	if (!again)
		result_write(tracee->arch, thread, -EINTR);
	return again;
}

bool hide_stop(struct tracee *tracee, const struct stop *stop)
{
	switch (stop->kind) {
	case STOP_QUIET:
		return hide(tracee, stop->thread, 0);
	case STOP_SIGNAL:
		return hide(tracee, stop->thread, stop->signal);
	case STOP_GROUP:
		return hide(tracee, stop->thread, SIGSTOP);
	default:
		return false;
	}
}
