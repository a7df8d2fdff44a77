/* A process from one tracer to another; see handover.h. */
#include "tracer/handover.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tracer/copy.h"
#include "tracer/remote.h"
#include "tracer/remote_parts.h"
#include "tracer/runners.h"
#include "tracer/status.h"
#include "tracer/threads.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

/* Farther than a red zone; where a signal would be put, too. */
enum { BELOW = 160 };

/* However many there are. */
enum { REST_MS = 5, RESTS_TAKEN = HANDOVER_MS / REST_MS, RESTS = 100 };

enum { STOP_MS = 200, STOP_LOOKS = 50, ASLEEP_MS = 300, TAKE_MS = 10000, TAKE_REST_NS = 50000 };

static int build_call(const struct tracee *tracee, const struct thread *thread, const void *arg,
		      taddr_t at, const struct regs *regs, const int64_t *own,
		      struct remote_code *ret)
{
	(void)thread;
	return tracee->arch->trap->remote_build(at, arg, regs, own, ret);
}

/* A timespec in the process' own words, of whichever CPU (SYS_nanosleep: two longs). */
static void put_time(const struct arch *arch, uint8_t ret[16])
{
	memset(ret, 0, 16);
	arch_put_word(arch, ret, HANDOVER_MS / 1000);
	arch_put_word(arch, ret + arch->word_size, HANDOVER_MS % 1000 * 1000000);
}

/* All registers are set by one call, and no stop is needed in between, as some CPUs need it where a
 * call of the thread's own was interrupted, or (MIPS) behind an exec. */
static bool goes_alone(const struct remote_code *code)
{
	return !code->enters && !code->ended.len && !code->calling.len;
}

static int write_all(struct tracee *child, struct undo *log, const struct undo_place *place,
		     struct remote_run *run, struct handover *h)
{
	const struct remote_call sleep = {SYS_nanosleep, {h->time, 0}};
	const struct remote_program program = {build_call, &sleep, &sleep, 1};
	uint8_t time[16];
	struct err err;
	int rc = target_read(&child->target, h->time, h->was, sizeof(h->was));

	put_time(child->arch, time);
	if (!rc)
		rc = undo_area(log, &child->target, h->time, h->was, time, sizeof(time), h->time,
			       "", 0);
	if (!rc)
		rc = remote_begin(child, log, place, &program, run, &err);
	if (!rc && !goes_alone(&run->code)) {
		undo_take_back(log, &child->target, place->base);
		rc = -ENOTSUP;
	}
	return rc;
}

/* Yama's level 1 lets a process' ancestors trace it, and descendants of whom it has named
 * (PR_SET_PTRACER, security/yama/yama_lsm.c). */
static bool has_to_permit(void)
{
	FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	bool restricts = file && fgetc(file) == '1';
	struct status own;

	if (file)
		fclose(file);
	return restricts && !status_read(getpid(), 0, &own) && !status_can(&own, CAP_SYS_PTRACE);
}

/* Who will take it is, as we are, a child of our parent's, with whose end the kernel forgets this.  If it
 * fails, the one who is refused says so. */
static void permit(struct tracee *child, struct undo *log, const struct undo_place *place)
{
	const struct remote_call call = {SYS_prctl, {PR_SET_PTRACER, (uint64_t)getppid()}};
	int64_t result;
	struct err err;

	err_ignore(remote_call(child, log, place, &call, &result, &err));
}

static int make_wait(struct tracee *child, struct thread *thread, struct undo *undo,
		     struct handover *h)
{
	const struct arch *arch = child->arch;
	struct regs *regs = thread_regs(child, thread);
	struct undo *log = undo_create();
	struct undo_place place = {.base = 0};
	struct remote_run run = {.tracee = child};
	struct undo_held *held = NULL;
	struct maps maps = {0};
	struct err err;
	int rc = regs && log && arch->trap->remote_build ? maps_read(child->pid, &maps, &err)
							 : -ENOTSUP;

	if (!rc)
		rc = copy_place(child, &maps, &place, &err);
	if (!rc && (!place.base || place.room < UNDO_PLACE_BYTES)) /* (what clears it knows one size) */
		rc = -ENOSPC;
	if (!rc) {
		h->place = place.base;
		h->time = (regs_read(arch, regs, arch->reg_sp) - BELOW) & ~15ull;
		held = undo_held(undo, child->pid, place.base);
		if (has_to_permit())
			permit(child, log, &place);
		rc = write_all(child, log, &place, &run, h);
	}
	if (!rc) {
		h->home = run.home;
		h->behind = held->behind = run.code.behind;
		remote_regs_set(&run, &run.code.begin);
	}
	maps_deinit(&maps);
	undo_destroy(log);
	return rc;
}

static void prepare(const struct tracee *tracee, pid_t pid, int event, int deliver,
		    struct undo *undo, struct handover *ret)
{
	struct tracee own = {.pid = pid, .arch = tracee->arch};
	struct thread *thread;
	struct err err;

	memset(ret, 0, sizeof(*ret));
	ret->pid = pid;
	if (target_open_traced(&own.target, pid, &err))
		return;
	own.target.far = tracee->target.far;
	own.target.apart.hurry = tracee->target.apart.hurry;
	thread = threads_add(&own, pid);
	if (thread) {
		thread->state = THREAD_STOPPED;
		thread->attached = true;
		thread->event = event;
		thread->deliver = deliver;
		thread->in_exec_stop = event == PTRACE_EVENT_EXEC;
		ret->waits = !make_wait(&own, thread, undo, ret);
	}
	threads_deinit(&own);
	target_close(&own.target);
}

void handover_give(struct tracee *tracee, struct thread *child, struct undo *undo,
		   struct handover *ret)
{
	thread_regs_flush(child);
	prepare(tracee, child->tid, child->event, child->deliver, undo, ret);
	tracee_let_go(tracee, child);
}

void handover_give_runner(struct tracee *tracee, pid_t runner, struct undo *undo,
			  struct handover *ret)
{
	prepare(tracee, runner, PTRACE_EVENT_EXEC, 0, undo, ret);
	runners_let_go(tracee, runner);
}

/* ---- the second ------------------------------------------------------------------ */

static bool is_in(const struct tracee *tracee, const struct regs *regs, taddr_t place)
{
	taddr_t pc = regs_read(tracee->arch, regs, tracee->arch->reg_pc);

	return pc >= place && pc < place + UNDO_PLACE_BYTES;
}

/* Written at once: if we are killed, it is home. */
static bool put_home(struct tracee *tracee, struct thread *thread, const struct handover *given)
{
	struct regs *regs = thread_regs(tracee, thread);

	if (!regs || !given->waits || !is_in(tracee, regs, given->place))
		return false;
	*regs = given->home;
	thread_regs_touch(thread);
	thread_regs_commit(thread);
	return true;
}

static void clear(struct tracee *tracee, const struct handover *given)
{
	const struct undo_place place = {.base = given->place, .room = UNDO_PLACE_BYTES};

	undo_wipe_place(&tracee->target, &place);
	undo_put_words(&tracee->target, given->time, given->was, sizeof(given->was));
}

/* It went home, and waits in the kernel (for its vfork child, perhaps) for as long as that likes, or has
 * ended before the process' others. */
static bool is_away(pid_t pid, int64_t since)
{
	int64_t waited = clock_ms() - since;
	struct status status;

	return waited > TAKE_MS || (waited > ASLEEP_MS && !status_read(pid, pid, &status) &&
				    (status.state == 'D' || status.state == 'Z'));
}

int handover_take(struct tracee *tracee, const struct handover *given, bool *late,
		  struct err *err)
{
	const struct timespec rest = {0, TAKE_REST_NS};
	struct thread *thread = tracee_find(tracee, tracee->pid);
	int64_t since = clock_ms();
	struct stop stop;
	bool home = false;
	int rc;

	*late = true;
	if (!thread) /* it has ended before the process' others */
		return 0;
	thread->interrupted = true;
	ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
	while ((rc = tracee_next(tracee, false, &stop)) >= 0) {
		if (rc == 0 && is_away(tracee->pid, since))
			return 0;
		if (rc == 0) {
			nanosleep(&rest, NULL);
			continue;
		}
		if (stop.kind == STOP_EXIT)
			break;
		if (stop.thread == thread && stop.kind != STOP_THREAD_EXIT)
			home |= put_home(tracee, thread, given);
		if (stop.thread == thread &&
		    (stop.kind == STOP_QUIET || stop.kind == STOP_GROUP)) {
			if (home)
				clear(tracee, given);
			else
				tracee_continue(tracee, thread);
			*late = !home;
			return 0;
		}
		tracee->handle(tracee->handle_arg, &stop);
	}
	return err_set(err, -ECHILD, "pid %d ended before it could be followed", tracee->pid);
}

/* ---- those that nobody took ------------------------------------------------------- */

static bool is_left(const struct undo_held *held, struct target *target)
{
	uint8_t there[UNDO_PLACE_BYTES];

	return !target_read(target, held->base, there, sizeof(there)) &&
	       remote_is_left(arch_native(), there, sizeof(there));
}

/* It has waited: behind that it puts its registers back by itself. */
static void cut_short(struct tracee *own, struct thread *thread, const struct undo_held *held)
{
	const struct arch *arch = own->arch;
	struct regs *regs = thread_regs(own, thread);

	if (!held->behind || regs_read(arch, regs, arch->reg_pc) > held->behind)
		return;
	regs_write(arch, regs, arch->reg_pc, held->behind);
	if (arch->syscall_number_offset >= 0) /* nothing to be made again */
		arch_put_word(arch, regs->bytes + arch->syscall_number_offset, UINT64_MAX);
	thread_regs_touch(thread);
	thread_regs_commit(thread);
}

/* Traced, and stopped.  False: it is in that code still. */
static bool clear_stopped(const struct undo_held *held, struct target *target)
{
	const struct undo_place place = {.base = held->base, .room = UNDO_PLACE_BYTES};
	struct tracee own = {.pid = held->pid, .arch = arch_native()};
	struct thread thread = {.tid = held->pid, .state = THREAD_STOPPED};
	const struct regs *regs = thread_regs(&own, &thread);

	if (!regs)
		return true;
	if (is_in(&own, regs, held->base)) {
		cut_short(&own, &thread, held);
		return false;
	}
	undo_wipe_place(target, &place);
	return true;
}

/* It may be at home, and wait for its vfork child there, for as long as that likes. */
static bool stops(pid_t pid, int *status)
{
	struct status is;
	int rc = -ETIMEDOUT;

	for (int n = 0; n < STOP_LOOKS && rc == -ETIMEDOUT; n++) {
		rc = remote_next_stop(pid, STOP_MS, status);
		if (rc == -ETIMEDOUT && !status_read(pid, pid, &is) && is.state == 'D')
			break;
	}
	return !rc;
}

/* False: once more. */
static bool clear_traced(const struct undo_held *held, struct target *target)
{
	bool done = false;
	int status;

	if (ptrace(PTRACE_SEIZE, held->pid, 0, 0))
		return errno != EPERM; /* another's, who takes it away, or is about to end */
	ptrace(PTRACE_INTERRUPT, held->pid, 0, 0);
	if (!stops(held->pid, &status) || !WIFSTOPPED(status))
		return true;
	done = clear_stopped(held, target);
	ptrace(PTRACE_DETACH, held->pid, 0, (long)(status >> 16 ? 0 : WSTOPSIG(status)));
	return done;
}

/* False: once more. */
static bool mend_one(const struct undo_held *held, bool taken)
{
	struct target target;
	struct err err;
	bool done;

	if (target_open(&target, held->pid, &err))
		return true;
	done = !is_left(held, &target) || (!taken && clear_traced(held, &target));
	target_close(&target);
	return done;
}

/* In turn: one that takes long, or is another tracer's, takes no time from the others. */
static void mend_these(const struct undo_held *held, unsigned count, bool taken)
{
	const struct timespec rest = {0, REST_MS * 1000000};
	bool done[UNDO_HELD] = {false}, all = false;

	for (int n = taken ? -RESTS_TAKEN : 0; n < RESTS && !all; n++) {
		all = true;
		for (unsigned i = 0; i < count; i++) {
			done[i] = done[i] || !held[i].pid || mend_one(&held[i], n < 0);
			all &= done[i];
		}
		if (!all)
			nanosleep(&rest, NULL);
	}
}

/* By a process of its own: with its end whoever does not stop for it is let go, too. */
void handover_decline(const struct handover *given)
{
	const struct undo_held held = {given->pid, given->place, given->behind};
	pid_t pid = given->waits ? fork() : -1;

	if (pid == 0) {
		mend_these(&held, 1, false);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

void handover_mend(const struct undo *undo, bool taken)
{
	mend_these(undo->held, UNDO_HELD, taken);
}
