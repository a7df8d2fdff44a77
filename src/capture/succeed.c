/*
 * From one process to another, in one engine: what is left of the first is what an exec leaves of a
 * program (exec.c), but that it is put back and lives.
 *
 * If we die on the way, the wrapper is put back by the guardian as ever, and the program, which
 * stands at its exec with nothing of ours in it, goes on with the end of its tracer (exit_ptrace()
 * in kernel/ptrace.c).
 */
#include "capture/succeed.h"

#include <errno.h>
#include <sys/wait.h>

#include "capture/detach.h"
#include "capture/exec.h"
#include "capture/hold.h"
#include "tracer/runners.h"

/* The engine is as behind the start of a program, and nobody has seen its exec. */
static void take_over(struct engine *engine)
{
	struct tracee *tracee = &engine->tracee;

	vec_clear(&engine->ending.threads);
	engine->ending.ended = false;
	engine->ending.end = CAPTURE_EXITED;
	engine->ending.status = 0;
	engine->program.child = 0;
	engine->succession.wish = NULL;
	hold_tracee(engine);
	if (engine->looks.at_end)
		tracee_tell_exits(tracee);
	exec_begin(engine);
}

int succeed(struct engine *engine, struct err *err)
{
	pid_t runner = engine->tracee.parked;
	bool wrapper_ended;
	int rc;

	engine->pending.set &= ~(unsigned)PENDING_SUCCEED;
	engine->succession.begins = false;
	if (!runner) /* killed meanwhile */
		return 0;
	runners_leave(&engine->tracee);
	detach_process(engine);
	wrapper_ended = engine->ending.end != CAPTURE_DETACHED;
	rc = tracee_succeed_to(&engine->tracee, runner, err);
	if (wrapper_ended) {
		engine->tracee.wrapper_ended = true;
		engine->tracee.wrapper_status = engine->ending.end == CAPTURE_KILLED
							? engine->ending.status
							: engine->ending.status << 8;
	}
	if (rc == -ESRCH) {
		engine->ending.ended = true;
		engine->ending.end = CAPTURE_GONE;
		return 0;
	}
	if (!rc)
		take_over(engine);
	return rc;
}

bool succeed_waits(struct engine *engine)
{
	struct tracee *tracee = &engine->tracee;
	int status;
	pid_t got;

	if (!tracee->wrapper || tracee->wrapper_ended || engine->ending.end == CAPTURE_DETACHED)
		return false;
	got = waitpid(-1, &status, __WALL | __WNOTHREAD);
	if (got > 0)
		runners_end_stop(tracee, got, status);
	return got > 0 || errno == EINTR;
}

int succeed_status(const struct engine *engine)
{
	return engine->tracee.wrapper_ended ? engine->tracee.wrapper_status : -1;
}
