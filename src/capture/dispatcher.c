/*
 * The dispatcher: the one place where a stop is acted upon.
 *
 *    stop --> verdict (trap_signal.c) --> ours --> call (call.c) --> counted (count.c)
 *                  |                                   +--> pending: modules, the trap, ...
 *                  +--> the program's --> hidden, delivered; the end with a core dump: pending
 *
 * Invariants:
 *  - Every stop is handed on exactly as the program would have met it without us;
 *    only the signal of our own trap is dropped.
 *  - An event is counted once (trap_signal.c).
 *  - While something is pending, whoever stops waits.
 */
#include "capture/dispatcher.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "capture/agent_fault.h"
#include "capture/blocked_signal.h"
#include "capture/call.h"
#include "capture/core_dump.h"
#include "capture/count.h"
#include "capture/exec.h"
#include "capture/follow.h"
#include "capture/generated.h"
#include "capture/heirs.h"
#include "capture/share.h"
#include "capture/mapping_calls.h"
#include "capture/thread_data.h"
#include "capture/traceme.h"
#include "capture/trap_choice.h"
#include "capture/trap_signal.h"
#include "capture/wanted.h"
#include "tracer/hide.h"
#include "tracer/mend.h"

/* ---- calls ------------------------------------------------------------- */

static void call_route(struct engine *engine, struct thread *thread, const struct call *call)
{
	const uint64_t filter[CALL_ARGUMENTS] = {PR_SET_SECCOMP};

	switch (call->function->call) {
	case CALL_LOADER:
		follow_on_loader(engine);
		break;
	case CALL_SIGACTION:
		trap_choice_on_sigaction(engine, (int)call->argument[0]);
		break;
	case CALL_PRCTL:
		trap_choice_on_prctl(engine, call->argument);
		break;
	case CALL_SECCOMP: /* seccomp_load(): as if by prctl() */
		trap_choice_on_prctl(engine, filter);
		break;
	case CALL_PTRACE:
		traceme_on_ptrace(engine, thread, (long)call->argument[0]);
		break;
	case CALL_JIT:
		walker_hear_of_objects(&engine->ledger.walker, call->instance);
		break;
	case CALL_MMAP:
	case CALL_MUNMAP:
	case CALL_MREMAP:
	case CALL_BRK:
		mapping_call(engine, thread, call);
		break;
	default:
		count_call(engine, thread, call);
	}
}

/* The thread is stopped at a trap that was not counted before. */
static void on_trap(struct engine *engine, struct thread *thread)
{
	struct call call;
	int rc = call_read(&engine->traps, &engine->ledger.walker, thread, &call);

	if (!rc && thread_data(thread))
		call_route(engine, thread, &call);
	else if (rc == -EFAULT && !thread_was_killed(thread)) /* else its memory may be gone */
		region_lost(engine->ledger.region);
}

/* ---- stops ------------------------------------------------------------- */

/* Does what the verdict says of the trap.  True: the stop means nothing else. */
static bool trap_act(struct engine *engine, struct thread *thread, int signo)
{
	const struct trap_verdict verdict = trap_signal_judge(&engine->traps, thread, signo);
	struct thread_data *data = thread_data(thread);

	switch (verdict.kind) {
	case TRAP_OURS:
		trap_signal_mark(&engine->traps, thread, signo);
		on_trap(engine, thread);
		blocked_signal_close_trap(&engine->tracee, thread, signo);
		break;
	case TRAP_COUNTED:
		data->counted = 0;
		if (verdict.trap == signo)
			blocked_signal_close_trap(&engine->tracee, thread, signo);
		break;
	case TRAP_BLOCKED:
		blocked_signal_end_trap(&engine->tracee, thread, &verdict.blocked);
		on_trap(engine, thread);
		blocked_signal_wait_again(&engine->tracee, thread);
		return true;
	case TRAP_OVERTAKING:
		if (!data)
			return false;
		data->counted = verdict.trap;
		trap_signal_mark(&engine->traps, thread, verdict.trap);
		on_trap(engine, thread);
		return false;
	case TRAP_PROGRAMS:
		return false;
	}
	thread->deliver = 0;
	affinity_follow(&engine->affinity, engine->tracee.pid, thread->tid);
	return true;
}

static void on_signal(struct engine *engine, struct stop *stop)
{
	if (agent_fault_pass(engine, stop->thread, stop->signal) ||
	    trap_act(engine, stop->thread, stop->signal))
		return;
	hide_stop(&engine->tracee, stop);
	core_dump_expect(engine, stop->thread, stop->signal);
}

/* A fork child has a copy of the patched code and no tracer to be: made whole, and
 * let go before it runs its first instruction.  (Behind an exec it may have the old program's
 * memory itself, and others may run there.) */
static void child_set_free(struct engine *engine, struct thread *child)
{
	bool alone = !tracee_has_company(&engine->tracee, child);

	if (alone)
		mend_child(&engine->tracee, child, engine->undoing.undo);
	engine->program.child = child->tid;
	if (!(alone && heirs_child(engine, child)) && !wanted_child(engine, child))
		tracee_let_go(&engine->tracee, child);
}

static void on_exit_of_process(struct ending *ending, int status)
{
	ending->ended = true;
	ending->end = WIFSIGNALED(status) ? CAPTURE_KILLED : CAPTURE_EXITED;
	ending->status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

void dispatch_stop(void *arg, struct stop *stop)
{
	struct engine *engine = arg;
	struct thread *thread = stop->thread;

	switch (stop->kind) {
	case STOP_SIGNAL:
		on_signal(engine, stop);
		break;
	case STOP_QUIET:
	case STOP_GROUP:
		trap_act(engine, thread, 0);
		hide_stop(&engine->tracee, stop);
		break;
	case STOP_CHILD:
		if (!stop->shares_memory) {
			child_set_free(engine, thread);
			return;
		}
		share_on_sharer(engine, thread);
		break;
	case STOP_ASKS:
		engine->pending.set |= PENDING_TRACEME;
		return;
	case STOP_SHARER_EXEC:
		engine->ending.ended |= engine->tracee.exited; /* (it had taken the place of the process) */
		if (!wanted_sharer(engine, thread))
			tracee_let_go(&engine->tracee, thread);
		return;
	case STOP_RUNNER_EXEC:
		wanted_exec(engine, stop->runner);
		return;
	case STOP_EXEC:
		if (thread->owner)
			memset(thread->owner, 0, sizeof(struct thread_data));
		exec_begin(engine);
		return; /* it waits for its modules */
	case STOP_THREAD_EXIT:
		share_thread_ends(engine, thread);
		ledger_abandon(&engine->ledger, thread);
		return;
	case STOP_EXITING:
		generated_at_end(engine);
		if (!engine->looks.at_end || engine->looks.exiting || engine->ending.ended)
			break;
		engine->looks.exiting = thread->tid;
		notify(&engine->notifier, NOTICE_EXITING, "%s", "");
		return; /* it waits for the look */
	case STOP_EXIT:
		on_exit_of_process(&engine->ending, stop->status);
		return;
	}
	if (!engine->pending.set)
		tracee_continue(&engine->tracee, thread);
}
