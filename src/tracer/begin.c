/*
 * The two ways to get hold of a process: attach and launch; and letting it go.
 *
 * PTRACE_SEIZE in both: it does not stop, knows group stops, and its tracees are
 * released unharmed when we die (no PTRACE_O_EXITKILL).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/scope.h"
#include "tracer/attach.h"
#include "tracer/hide.h"
#include "tracer/reap.h"
#include "tracer/seize.h"
#include "tracer/sharers.h"
#include "tracer/threads.h"

enum {
	TRACE_OPTIONS = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXEC |
			PTRACE_O_TRACESYSGOOD, /* for remote.c */
	SETTLE_MS = 200,
};

/* Until the layer above takes the stops. */
static void absorb(void *arg, struct stop *stop)
{
	hide_stop(arg, stop);
	if (stop->thread)
		tracee_continue(arg, stop->thread);
}

static void thread_tell_exit(void *arg, struct thread *thread)
{
	(void)arg;
	if (thread->state == THREAD_STOPPED)
		ptrace(PTRACE_SETOPTIONS, thread->tid, 0,
		       (long)(TRACE_OPTIONS | PTRACE_O_TRACEEXIT));
}

void tracee_tell_exits(struct tracee *tracee)
{
	tracee_for_each(tracee, thread_tell_exit, NULL);
}

static void tracee_init(struct tracee *tracee, pid_t pid)
{
	memset(tracee, 0, sizeof(*tracee));
	tracee->pid = pid;
	tracee->arch = arch_native();
	target_of_file(&tracee->target, -1);
	tracee->handle = absorb;
	tracee->handle_arg = tracee;
}

/* Seized before?  A thread that we have not got may have become the leader, by an exec. */
static bool is_ours(struct tracee *tracee, pid_t tid)
{
	struct status status;

	return threads_find(tracee, tid) &&
	       (tid != tracee->pid || status_read(tid, tid, &status) || status.tracer);
}

/* 1: seized or already ours; 0: not worth it (ending); -errno. */
static int thread_seize(struct seizing *seizing, pid_t tid)
{
	struct tracee *tracee = seizing->tracee;
	struct status status;
	int code;

	if (is_ours(tracee, tid))
		return 0;
	code = seizing_seize(seizing, tid, TRACE_OPTIONS);
	if (code) {
		if (code == -ESRCH || status_read(tracee->pid, tid, &status))
			return 0;
		if (status.state == 'Z' || status.state == 'X')
			return 0;
		/* Born of a thread that we trace already: ours from birth. */
		if (status.tracer != gettid())
			return code;
	}
	return threads_find(tracee, tid) || threads_add(tracee, tid) ? 1 : -ENOMEM;
}

/*
 * Threads are born while we look: until a whole pass finds no new one.  The leader comes last: a
 * signal to the process that does nothing is dropped by the kernel, unless the leader is traced
 * (sig_ignored() in kernel/signal.c), whoever then takes it; and who is not ours yet would see
 * its call end with EINTR.
 */
static int threads_seize(struct seizing *seizing, struct tid_list *tids)
{
	struct tracee *tracee = seizing->tracee;
	int rc;

	do {
		rc = status_threads(tracee->pid, tids);
		if (rc)
			return rc == -ENOENT ? -ESRCH : rc;
		rc = 0;
		for (size_t i = 0; i < tids->len && rc >= 0; i++) {
			int got = tids->at[i] == tracee->pid ? 0
							     : thread_seize(seizing, tids->at[i]);
			rc = got ? got : rc;
		}
		if (!rc)
			rc = thread_seize(seizing, tracee->pid);
	} while (rc > 0);
	return rc ? rc : tracee->count ? 0 : -ESRCH;
}

/* It has become another program just before it was seized. */
static void other_program_let_go(struct tracee *tracee, struct thread *thread)
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0) == 0 &&
	    reap_look(thread->tid, &status) && WIFSTOPPED(status)) {
		thread->deliver = status >> 16 ? 0 : WSTOPSIG(status);
		thread_end(tracee, thread);
	}
	threads_remove(tracee, thread);
	threads_free(tracee, thread);
}

/* Born of a thread that we have seized: its events will say what it is. */
static bool is_born_ours(pid_t tid)
{
	struct status status;

	return status_read(tid, 0, &status) == 0 && status.tracer == gettid();
}

/* Stopped at once: what it asks of the kernel meanwhile would be refused (sharer_calls.c). */
static int sharer_seize(struct seizing *seizing, pid_t tid)
{
	struct tracee *tracee = seizing->tracee;
	struct thread *thread;
	int rc;

	sched_fifo_begin(&tracee->sched_fifo);
	rc = thread_seize(seizing, tid);
	thread = rc == 1 ? threads_find(tracee, tid) : NULL;
	if (thread) {
		thread->sharer = true;
		thread->interrupted = ptrace(PTRACE_INTERRUPT, tid, 0, 0) == 0;
	}
	sched_fifo_end(&tracee->sched_fifo);
	return rc;
}

/* After all threads: what they make from now on we are told of. */
static int sharers_seize(struct seizing *seizing, struct tid_list *tids)
{
	struct tracee *tracee = seizing->tracee;
	bool found, waited = false;

	do {
		int rc = sharers_list(tracee->pid, tids);

		if (!rc && tids->len && !waited) {
			sharers_wait(tracee->pid, tids);
			rc = sharers_list(tracee->pid, tids);
			waited = true;
		}
		found = false;
		for (size_t i = 0; !rc && i < tids->len; i++) {
			struct thread *thread;

			if (is_born_ours(tids->at[i]))
				continue;
			rc = sharer_seize(seizing, tids->at[i]);
			if (rc < 0 && !sharers_share(tracee_alive(tracee), tids->at[i]))
				rc = 0;
			if (rc != 1)
				continue;
			rc = 0;
			found = true;
			thread = threads_find(tracee, tids->at[i]);
			if (!sharers_share(tracee_alive(tracee), thread->tid))
				other_program_let_go(tracee, thread);
		}
		if (rc)
			return rc;
	} while (found);
	return 0;
}

static void find_unsettled(void *arg, struct thread *thread)
{
	bool *found = arg;

	*found |= thread->sharer && thread->interrupted && thread->state == THREAD_RUNNING;
}

/* For a time, not until nothing more comes: threads that stop all the while (a killed memtrace's
 * traps in a storm of allocations) may never leave a moment without a stop. */
void tracee_settle_sharers(struct tracee *tracee)
{
	const struct timespec moment = {0, 100000};
	int64_t end = clock_ms() + SETTLE_MS;

	for (;;) {
		bool found = false;

		tracee_for_each(tracee, find_unsettled, &found);
		if (!found || clock_ms() > end)
			return;
		if (tracee_take(tracee, false) != 1)
			nanosleep(&moment, NULL);
	}
}

int tracee_attach(struct tracee *ret, pid_t pid, struct err *err)
{
	struct seizing seizing;
	struct tid_list tids = {0};
	int rc = attach_check(pid, err);

	tracee_init(ret, pid);
	if (rc)
		return rc;
	seizing_begin(&seizing, ret);
	rc = threads_seize(&seizing, &tids);
	if (!rc)
		rc = sharers_seize(&seizing, &tids);
	seizing_end(&seizing);
	vec_deinit(&tids);
	tracee_watch_sharers(ret, true);
	if (rc)
		attach_refused(pid, rc, err);
	else
		rc = target_open_traced(&ret->target, tracee_alive(ret), err);
	if (rc && !status_alive(pid)) /* that is why, whatever was seen of it */
		rc = attach_refused(pid, -ESRCH, err);
	if (rc)
		tracee_release(ret);
	return rc;
}

/* ---- launch ------------------------------------------------------------ */

/* In the child: waits until it is traced, then becomes the program. */
static void __attribute__((noreturn))
child_main(char *const argv[], const struct launch_files *files, const sigset_t *mask, int go,
	   int failed)
{
	char byte;
	int code;

	sigprocmask(SIG_SETMASK, mask, NULL);
	for (int i = 0; i < 3; i++)
		if (files->theirs)
			dup2(files->at[i], i);
	if (files->stdin_null) {
		int fd = open("/dev/null", O_RDONLY);
		if (fd > 0) {
			dup2(fd, 0);
			close(fd);
		}
	}
	if (read(go, &byte, 1) == 1)
		execvp(argv[0], argv);
	code = errno;
	if (write(failed, &code, sizeof(code)) != sizeof(code))
		_exit(126);
	_exit(127);
}

static int launch_failed(const char *program, int code, struct err *err)
{
	if (code == ENOENT && strchr(program, '/') && access(program, F_OK) == 0)
		return err_set(err, -code,
			       "%s: its interpreter is not there (see: head -1; readelf -l)",
			       program);
	if (code == ENOENT)
		return err_set(err, -code, "%s: not found%s", program,
			       strchr(program, '/') ? "" : " in PATH");
	if (code == EACCES)
		return err_set(err, -code, "%s: not an executable file (see: ls -l; chmod +x)",
			       program);
	if (code == ENOEXEC)
		return err_set(
			err, -code,
			"%s: not a program this system can run (a script needs a #! line)",
			program);
	return err_sys(err, -code, "cannot start %s", program);
}

/* Until the new program is stopped at its first instruction. */
static int launch_wait(struct tracee *tracee, const char *program, int failed, struct err *err)
{
	struct stop stop;
	int rc, code;

	while ((rc = tracee_next(tracee, true, &stop)) >= 0) {
		if (rc == 0)
			continue;
		if (stop.kind == STOP_EXEC)
			return 0;
		if (stop.kind == STOP_EXIT)
			break;
		tracee_continue(tracee, stop.thread);
	}
	if (read(failed, &code, sizeof(code)) == sizeof(code))
		return launch_failed(program, code, err);
	return err_set(err, -ECHILD, "%s ended before it could begin", program);
}

/* A program that we can't follow has not run an instruction, and never will. */
static int launch_check(struct tracee *tracee, const char *program, struct err *err)
{
	struct err why;
	int rc = attach_check_machine(tracee->pid, &why);

	if (!rc)
		return 0;
	kill(tracee->pid, SIGKILL);
	waitpid(tracee->pid, NULL, __WALL);
	tracee->exited = true;
	return err_set(err, rc, "%s was not started: %s", program, why.text);
}

int tracee_launch(struct tracee *ret, char *const argv[], const struct launch_files *files,
		  const sigset_t *mask, struct err *err)
{
	int go[2], failed[2], rc;
	pid_t pid;

	tracee_init(ret, 0);
	if (pipe2(go, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "cannot start %s", argv[0]);
	if (pipe2(failed, O_CLOEXEC) < 0) {
		rc = err_sys(err, -errno, "cannot start %s", argv[0]);
		close(go[0]);
		close(go[1]);
		return rc;
	}
	scope_close int go_read = go[0], go_write = go[1], failed_read = failed[0];
	pid = fork();
	if (pid == 0) {
		close(go[1]); /* so that our death is the end of its input */
		child_main(argv, files, mask, go[0], failed[1]);
	}
	close(failed[1]);
	if (pid < 0)
		return err_sys(err, -errno, "cannot start %s", argv[0]);
	ret->pid = pid;
	ret->launched = true;
	if (ptrace(PTRACE_SEIZE, pid, 0, (long)TRACE_OPTIONS) < 0) {
		rc = attach_refused(pid, -errno, err);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, __WALL);
		return rc;
	}
	if (!threads_add(ret, pid) || write(go_write, "", 1) != 1)
		rc = err_set(err, -ENOMEM, "cannot start %s: memory is short", argv[0]);
	else
		rc = launch_wait(ret, argv[0], failed_read, err);
	if (!rc) {
		rc = launch_check(ret, argv[0], err);
		if (!rc)
			rc = target_open_traced(&ret->target, pid, err);
	}
	if (rc)
		tracee_release(ret);
	return rc;
}

/* ---- release ----------------------------------------------------------- */

/* A thread that waits for its vfork child can't be detached now; the kernel does
 * it when the tracer thread ends. */
static void thread_detach(void *arg, struct thread *thread)
{
	if (thread->state == THREAD_STOPPED)
		thread_end(arg, thread);
}

void tracee_release(struct tracee *tracee)
{
	struct thread *leader;

	tracee->handle = absorb;
	tracee->handle_arg = tracee;
	if (!tracee->exited && tracee->count && !tracee->all_stopped)
		err_ignore(tracee_stop(tracee, NULL)); /* whoever is stopped is let go */
	leader = threads_find(tracee, tracee->pid);
	if (leader) /* first, as it was seized last: see threads_seize() */
		thread_detach(tracee, leader);
	tracee_for_each(tracee, thread_detach, tracee);
	sched_fifo_end(&tracee->sched_fifo);
	threads_deinit(tracee);
	vec_deinit(&tracee->queue);
	vec_deinit(&tracee->expected);
	target_close(&tracee->target);
}
