/*
 * Under full load some thread is always in there when all are stopped, and each time it may be another one.  Whoever
 * is out stays where it is, so that there are ever fewer.
 */
#include "tracer/let_out.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"

enum { LIMIT_MS = 200, PAUSE_NS = 50000 };

struct letting_out {
	struct tracee *tracee;
	const struct inside_range *range;
	unsigned found;
};

static void thread_run(void *arg, struct thread *thread)
{
	struct letting_out *l = arg;
	const struct arch *arch = l->tracee->arch;
	struct regs *regs = thread->state == THREAD_STOPPED ? thread_regs(l->tracee, thread) : NULL;
	taddr_t pc = regs ? regs_read(arch, regs, arch->reg_pc) : 0;

	if (!regs || !inside_agent_is(arch, l->range, pc) || thread->stands || thread->unannounced ||
	    thread->held)
		return;
	l->found++;
	tracee_run_one(l->tracee, thread);
}

int let_out(struct tracee *tracee, const struct inside_range *range, struct err *err)
{
	const struct timespec pause = {0, PAUSE_NS};
	const int64_t end = clock_ms() + LIMIT_MS;
	struct letting_out l = {tracee, range, 0};

	do {
		int rc;

		l.found = 0;
		tracee_for_each(tracee, thread_run, &l);
		if (!l.found)
			break;
		nanosleep(&pause, NULL);
		rc = tracee_stop(tracee, err);
		if (rc)
			return rc;
	} while (clock_ms() < end);
	return l.found || inside_agent(tracee, range, false) ? -EAGAIN : 0;
}
