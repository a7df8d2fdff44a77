/*
 * Letting threads out of the soft traps, before these are changed or their system calls
 * forbidden.
 *
 *    trap ........ trap.pc ........ trap.done
 *        runs on            runs on           and is outside
 *           until it is reported
 *
 * All others are stopped meanwhile, above all the one that is about to install a filter: it
 * would be there for all threads at once (SECCOMP_FILTER_FLAG_TSYNC).  Threads at trap.pc are
 * many and all is done for them but the mask, so they are not run: we set the mask, and they go
 * on behind the last system call.
 */
#include "capture/trap_empty.h"

#include <errno.h>
#include <time.h>

#include "capture/thread_data.h"

enum { TRIES = 100, PAUSE_NS = 200000 };

struct emptying {
	struct traps *traps;
	struct tracee *tracee;
	bool wholly;
	unsigned found;
};

/* The area in whose soft trap the thread is, or NULL. */
static const struct stub_area *area_around(const struct traps *traps, struct thread *thread,
					   taddr_t *pc)
{
	struct tracee *tracee = traps->hooks->process.tracee;
	const struct arch *arch = tracee->arch;
	struct regs *regs =
		thread->state == THREAD_STOPPED ? thread_regs(tracee, thread) : NULL;
	const struct stub_area *area;

	if (!regs)
		return NULL;
	*pc = regs_read(arch, regs, arch->reg_pc);
	area = hooks_area_at(traps->hooks, *pc);
	return area && *pc > area->trap.begin && *pc < area->trap.done ? area : NULL;
}

/* Is it on its way to the trap, or may be: in the agent, which has asked whether it is alone, the gate
 * behind it, or at the trap's begin? */
static bool may_come(const struct traps *traps, taddr_t pc)
{
	const struct stub_area *area = hooks_area_at(traps->hooks, pc);

	return undo_is_agent(traps->hooks->process.undo, pc) ||
	       (area && area->agent && pc > area->base && pc <= area->trap.begin);
}

static void thread_run(void *arg, struct thread *thread)
{
	struct emptying *e = arg;
	taddr_t pc = 0;
	const struct stub_area *area = area_around(e->traps, thread, &pc);
	bool comes = !area && pc && e->wholly && may_come(e->traps, pc);
	/* (its signal may still be to come: another stop was reported before) */
	bool owed = pc && thread->owner && thread_data(thread)->counted;

	if (!comes && (!area || (pc == area->trap.pc && !owed) ||
		       (pc >= area->trap.pc && !e->wholly)))
		return;
	e->found++;
	tracee_run_one(e->tracee, thread);
}

static void thread_skip_rest(void *arg, struct thread *thread)
{
	const struct emptying *e = arg;
	const struct arch *arch = e->tracee->arch;
	struct regs *regs;
	taddr_t pc = 0, sp;
	const struct stub_area *area = area_around(e->traps, thread, &pc);
	uint8_t set[8];

	if (!area || pc != area->trap.pc)
		return;
	regs = thread_regs(e->tracee, thread);
	sp = regs_read(arch, regs, arch->reg_sp);
	if (target_read(&e->tracee->target, sp + (taddr_t)arch->trap->mask, set, sizeof(set)))
		return;
	/* As the trap would, if we were killed now. */
	thread_mask_set(arch, thread, arch_signal_set(arch, set));
	regs_write(arch, regs, arch->reg_pc, area->trap.skip);
	thread_regs_touch(thread);
	thread_regs_commit(thread);
}

int trap_empty(struct traps *traps, bool wholly, struct err *err)
{
	const struct timespec pause = {0, PAUSE_NS};
	struct tracee *tracee = traps->hooks->process.tracee;
	struct emptying e = {traps, tracee, wholly, 1};

	for (int tries = 0; e.found && tries < TRIES; tries++) {
		int rc = tracee_stop(tracee, err);

		if (rc)
			return rc;
		e.found = 0;
		tracee_for_each(tracee, thread_run, &e);
		if (e.found)
			nanosleep(&pause, NULL);
	}
	if (e.found) { /* it is stopped by a SIGSTOP, say */
		int rc = tracee_stop(tracee, err);

		return rc ? rc : -EAGAIN;
	}
	if (wholly)
		tracee_for_each(tracee, thread_skip_rest, &e);
	return 0;
}
