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
 *     (all the time the world          -ERESTARTNOHAND into -EINTR and makes the
 *     stands, and before)              frame: as if there had been no stop
 *   behind that look, and the mask     no handler: the pc is put back on the call, then
 *     of the call alone let it         restore_saved_sigmask().  The signal is blocked,
 *     through (epoll_pwait)            waits, and ends the call that is made again
 *   behind it, and both masks let      its handler runs before the call is made again, as
 *     it through                       for every call that the kernel restarts itself
 *   the call's mask alone kept it      its handler runs before the call is made again:
 *     back                             as if it had come just before the first time
 *
 * Putting the pc back ourselves would make the third row true for as long as the world
 * stands, and the second wrong.  Stop signals have no handler, but end these calls,
 * too, when the process is continued (signal(7)): the result is put back to -EINTR when one is
 * met.
 */
#include "tracer/hide.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* include/linux/errno.h of the kernel: programs never see it, tracers do. */
enum { ERESTARTNOHAND = 514 };

static int64_t regs_word(const struct tracee *tracee, const struct regs *regs, int offset)
{
	int64_t value = 0;

	memcpy(&value, regs->bytes + offset, tracee->arch->word_size);
	return tracee->arch->word_size == 4 ? (int32_t)value : value;
}

static bool is_final(const struct arch *arch, int64_t number)
{
	for (const int16_t *at = arch->eintr_final; at && *at >= 0; at++)
		if (*at == number)
			return true;
	return false;
}

/* The number of the call that was ended for a signal, by the registers; < 0: none was.
 * Also when we have changed its result at an earlier stop, behind which it has not run. */
static int64_t call_ended(struct tracee *tracee, struct thread *thread)
{
	const struct arch *arch = tracee->arch;
	struct regs *regs = thread_regs(tracee, thread);
	int64_t number, result;

	if (!regs || arch->syscall_number_offset < 0)
		return -1;
	number = regs_word(tracee, regs, arch->syscall_number_offset);
	result = regs_word(tracee, regs, arch->syscall_result_offset);
	if (number < 0 || is_final(arch, number))
		return -1;
	return result == -EINTR ||
			       (result == -ERESTARTNOHAND && thread->made_again == number + 1)
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
	uint8_t *at = thread->regs.bytes + arch->syscall_result_offset;

	if (memcmp(at, &result, arch->word_size) == 0)
		return;
	memcpy(at, &result, arch->word_size);
	thread_regs_touch_first(thread,
				(uint32_t)arch->syscall_result_offset + arch->word_size);
}

static bool hide(struct tracee *tracee, struct thread *thread, int signo)
{
	int64_t number = call_ended(tracee, thread);
	struct status status;
	bool again;

	/* In this order: a signal that is not to be hidden should not wait for /proc. */
	if (number < 0)
		return false;
	again = !thread->continued && status_read(thread->tid, 0, &status) == 0 &&
		!stop_waits(&status) && (!signo || status_ignores(&status, signo));
	thread->made_again = again ? number + 1 : 0;
	result_write(tracee->arch, thread, again ? -ERESTARTNOHAND : -EINTR);
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

/* ---- who could return where -------------------------------------------- */

enum {
	STACK_WINDOW = 16 * 1024,
	STACK_LIMIT = 512 * 1024,
	UCONTEXT_HEAD = 5 * 8, /* as far as uc_stack */
	ALTSTACK_LIMIT = 1 << 30,
	FRAME_LIMIT = 4096, /* more than a signal frame takes */
};

struct search {
	struct tracee *tracee;
	const struct undo *undo; /* or NULL: the ranges below */
	const struct hide_range *ranges;
	size_t count;
	taddr_t lowest, highest; /* of all ranges: most words are outside at one look */
	bool found;
};

static bool search_hits(const struct search *search, taddr_t addr)
{
	if (addr < search->lowest || addr >= search->highest)
		return false;
	if (search->undo)
		return undo_covers(search->undo, addr);
	for (size_t i = 0; i < search->count; i++)
		if (addr > search->ranges[i].begin && addr < search->ranges[i].end)
			return true;
	return false;
}

/*
 * A handler that runs on a stack of its own (sigaltstack(2)) returns to another stack.  The
 * kernel's frame for it is known by its ucontext (uapi/asm/ucontext.h), which says where
 * the alternate stack is:
 *
 *    uc_flags | uc_link = 0 | ss_sp, ss_flags, ss_size | ... the registers
 *
 * The ucontext lies within that stack, and the saved sp does not.  (A handler of 32-bit ARM
 * without SA_SIGINFO has a frame with the registers alone, known by its uc_flags: there the
 * saved sp is not right behind the frame.)
 */
static bool is_altstack(const struct search *search, const uint8_t *at, taddr_t uc,
			struct hide_range *ret)
{
	unsigned size = search->tracee->arch->word_size;
	uint64_t link = 0, base = 0, len = 0;

	memcpy(&base, at, size);
	if (search->tracee->arch->plain_uc_flags &&
	    base == search->tracee->arch->plain_uc_flags) {
		*ret = (struct hide_range){uc, uc + FRAME_LIMIT};
		return true;
	}
	memcpy(&base, at + 2 * size, size);
	if (uc - base >= ALTSTACK_LIMIT)
		return false;
	memcpy(&link, at + size, size);
	memcpy(&len, at + 4 * size, size);
	*ret = (struct hide_range){base, base + len};
	return !link && uc - base < len && len < ALTSTACK_LIMIT;
}

/* The sp that the frame at uc saved, if it is on another stack; 0. */
static taddr_t stack_left(const struct search *search, taddr_t uc,
			  const struct hide_range *altstack)
{
	const struct arch *arch = search->tracee->arch;
	uint64_t sp = 0;

	if (target_read(&search->tracee->target, uc + arch->ucontext_sp * arch->word_size, &sp,
			arch->word_size))
		return 0;
	return sp >= altstack->begin && sp <= altstack->end ? 0 : sp;
}

/* *other: the stack from which a signal led to this one; 0. */
static bool stack_hits(const struct search *search, taddr_t sp, taddr_t *other)
{
	unsigned size = search->tracee->arch->word_size;
	uint8_t window[STACK_WINDOW + UCONTEXT_HEAD];

	*other = 0;
	for (size_t done = 0; done < STACK_LIMIT; done += STACK_WINDOW) {
		ssize_t n = target_read_some(&search->tracee->target, sp + done, window,
					     sizeof(window));
		struct hide_range altstack;

		for (size_t i = 0; n > 0 && i + size <= (size_t)n; i += size) {
			uint64_t word = 0;
			memcpy(&word, window + i, size);
			if (search_hits(search, word))
				return true;
			if (i + 5 * size <= (size_t)n && !*other &&
			    is_altstack(search, window + i, sp + done + i, &altstack))
				*other = stack_left(search, sp + done + i, &altstack);
		}
		if (n < (ssize_t)sizeof(window))
			return false;
	}
	return false;
}

/* Where a thread stands: by its registers, or, where it sleeps in the kernel and can't
 * be stopped, by what /proc says. */
static bool thread_place(const struct search *search, struct thread *thread, taddr_t *sp,
			 taddr_t *pc)
{
	const struct arch *arch = search->tracee->arch;
	struct regs *regs;

	if (thread->state != THREAD_STOPPED)
		return status_syscall(search->tracee->pid, thread->tid, sp, pc) == 0;
	regs = thread_regs(search->tracee, thread);
	if (!regs)
		return false;
	*sp = regs_read(arch, regs, arch->reg_sp);
	*pc = regs_read(arch, regs, arch->reg_pc);
	return true;
}

static void thread_search(void *arg, struct thread *thread)
{
	struct search *search = arg;
	taddr_t sp, pc, other = 0;

	if (search->found || thread->state == THREAD_GONE)
		return;
	search->found = !thread_place(search, thread, &sp, &pc) || search_hits(search, pc) ||
			stack_hits(search, sp, &other) ||
			(other && stack_hits(search, other, &other));
}

static void search_widen(struct search *search, taddr_t begin, taddr_t end)
{
	search->lowest = begin < search->lowest ? begin : search->lowest;
	search->highest = end > search->highest ? end : search->highest;
}

static void search_areas(struct search *search, struct tracee *tracee, const struct undo *undo)
{
	*search = (struct search){.tracee = tracee, .undo = undo, .lowest = ~(taddr_t)0};
	for (uint32_t i = 0; i < undo->area_count; i++)
		search_widen(search, undo->area[i].base,
			     undo->area[i].base + undo->area[i].len);
}

bool hide_has_inside(struct tracee *tracee, const struct undo *undo)
{
	struct search search;

	search_areas(&search, tracee, undo);
	tracee_for_each(tracee, thread_search, &search);
	return search.found;
}

bool hide_is_inside(struct tracee *tracee, struct thread *thread, const struct undo *undo)
{
	struct search search;

	search_areas(&search, tracee, undo);
	thread_search(&search, thread);
	return search.found;
}

bool hide_has_address(struct tracee *tracee, const struct hide_range *ranges, size_t count)
{
	struct search search = {
		.tracee = tracee, .ranges = ranges, .count = count, .lowest = ~(taddr_t)0};

	for (size_t i = 0; i < count; i++)
		search_widen(&search, ranges[i].begin, ranges[i].end);
	tracee_for_each(tracee, thread_search, &search);
	return search.found;
}
