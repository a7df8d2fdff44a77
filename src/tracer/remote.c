/* System calls made by a thread of the process; see remote.h. */
#include "tracer/remote.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "tracer/reap.h"
#include "tracer/remote_parts.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

enum { LIMIT_MS = 1000, STARVED_MS = 9000, REST_NS = 20000, REST_MOST_NS = 1000000 };

/* ---- the call ---------------------------------------------------------- */

void remote_regs_set(const struct remote_run *r, const struct regs *regs)
{
	struct iovec iov = {(void *)regs->bytes, regs->len};

	ptrace(PTRACE_SETREGSET, r->thread->tid, NT_PRSTATUS, &iov);
}

/* Not those of thread_regs(): it has run since. */
static int regs_now(const struct remote_run *r, struct regs *ret)
{
	struct iovec iov = {ret->bytes, r->tracee->arch->regs_len};

	ret->len = r->tracee->arch->regs_len;
	return ptrace(PTRACE_GETREGSET, r->thread->tid, NT_PRSTATUS, &iov) < 0 ? -errno : 0;
}

/* (An eighth longer each time: who waits for a CPU is not to be kept from it by our looking.) */
int remote_next_stop(pid_t tid, unsigned limit_ms, int *status)
{
	struct timespec rest = {0, REST_NS};
	int64_t start = clock_ms();
	int got;

	for (;;) {
		got = reap_peek(tid, status);
		if (got)
			return got < 0 ? got : 0;
		if (clock_ms() - start > limit_ms)
			return -ETIMEDOUT;
		nanosleep(&rest, NULL);
		if (rest.tv_nsec < REST_MOST_NS)
			rest.tv_nsec += rest.tv_nsec / 8;
	}
}

bool remote_is_call_stop(int status)
{
	return WIFSTOPPED(status) && status >> 8 == (SIGTRAP | 0x80);
}

bool remote_is_stop(const struct thread *thread, int status)
{
	return thread->in_remote && remote_is_call_stop(status);
}

void remote_take(pid_t tid)
{
	int status;

	waitpid(tid, &status, __WALL | WNOHANG);
}

/* A gate that we did not see made a signal of our call. */
static bool is_refusal(const struct remote_run *r, int status)
{
	siginfo_t info;

	return WIFSTOPPED(status) && status >> 8 == SIGSYS &&
	       ptrace(PTRACE_GETSIGINFO, r->thread->tid, 0, &info) == 0 &&
	       (taddr_t)(uintptr_t)info.si_call_addr == r->code.behind;
}

/* From now on as if it ran: its stop is to be seen by whoever takes all. */
static int hand_on(const struct remote_run *r, int why)
{
	r->thread->state = THREAD_RUNNING;
	r->thread->regs_read = false;
	return why;
}

int remote_give_up(const struct remote_run *r, int status)
{
	remote_regs_set(r, &r->home);
	if (!is_refusal(r, status))
		return hand_on(r, -EAGAIN);
	remote_take(r->thread->tid);
	return -EPERM;
}

/* It waits for nothing but a CPU, or has stopped by now: an emulator, a group at its quota, a machine with too much to do. */
static bool is_starved(pid_t tid)
{
	struct status status;

	return !status_read(tid, 0, &status) && status.state != 'S' && status.state != 'D';
}

int remote_run_to(const struct remote_run *r, long request, int *status)
{
	int rc;

	if (ptrace((int)request, r->thread->tid, 0, 0) < 0)
		return -errno;
	rc = remote_next_stop(r->thread->tid, LIMIT_MS, status);
	if (rc == -ETIMEDOUT && is_starved(r->thread->tid))
		rc = remote_next_stop(r->thread->tid, STARVED_MS, status);
	r->thread->in_remote = rc == -ETIMEDOUT;
	return rc == -ETIMEDOUT ? hand_on(r, rc) : rc;
}

/* To an end of a call of its own, nothing changed. */
static int run_to_own(const struct remote_run *r)
{
	int status, rc = remote_run_to(r, PTRACE_SYSCALL, &status);

	if (rc)
		return rc;
	if (!remote_is_call_stop(status))
		return hand_on(r, -EAGAIN);
	remote_take(r->thread->tid);
	return 0;
}

/* The call that it was put back on, or is put back on now: what it ends with when it is
 * interrupted anew (or before).  The thread is stopped at that end. */
static int make_own(struct remote_run *r, int64_t *result)
{
	const struct arch *arch = r->tracee->arch;
	struct regs regs;
	int rc = run_to_own(r);

	if (!rc && arch->trap->call_at) {
		rc = regs_now(r, &r->home);
		regs_write(arch, &r->home, arch->reg_pc,
			   regs_read(arch, &r->home, arch->reg_pc) +
				   (taddr_t)(int64_t)arch->trap->call_at);
	}
	if (rc)
		return rc;
	ptrace(PTRACE_INTERRUPT, r->thread->tid, 0, 0);
	rc = run_to_own(r);
	if (!rc)
		rc = regs_now(r, &regs);
	if (!rc)
		*result = regs_syscall_result(r->tracee->arch, &regs);
	return rc;
}

int remote_come_home(const struct remote_run *r)
{
	const struct regs *ended = r->code.ended.len ? &r->code.ended : &r->home;
	int status = 0, rc = 0;

	if (r->code.enters) {
		remote_regs_set(r, &r->home);
		rc = run_to_own(r);
	}
	if (rc)
		return rc;
	ptrace(PTRACE_INTERRUPT, r->thread->tid, 0, 0);
	if (!r->code.enters)
		remote_regs_set(r, ended);
	rc = remote_run_to(r, PTRACE_CONT, &status);
	r->thread->in_remote = false;
	if (rc)
		return rc;
	if (!WIFSTOPPED(status) || status >> 16 != PTRACE_EVENT_STOP ||
	    WSTOPSIG(status) != SIGTRAP)
		return hand_on(r, -EAGAIN);
	remote_take(r->thread->tid);
	r->thread->event = PTRACE_EVENT_STOP;
	r->thread->in_exec_stop = false;
	r->thread->regs_read = false;
	return 0;
}

/* To the stop in the call: the entry's, then the exit's.  A thread that stood within another
 * call (execve) leaves that first. */
static int run_to_call(const struct remote_run *r)
{
	const struct arch *arch = r->tracee->arch;
	struct regs regs;
	taddr_t pc;
	int status, rc;

	do {
		rc = remote_run_to(r, PTRACE_SYSCALL, &status);
		if (rc)
			return rc;
		if (!remote_is_call_stop(status))
			return remote_give_up(r, status);
		remote_take(r->thread->tid);
		rc = regs_now(r, &regs);
		if (rc)
			return rc;
		pc = regs_read(arch, &regs, arch->reg_pc);
	} while (pc == r->code.at);
	if (pc == r->code.behind)
		return 0;
	rc = remote_come_home(r); /* (it went somewhere else: no way is known) */
	return rc ? rc : -EAGAIN;
}

static int run(const struct remote_run *r, int64_t *result)
{
	const struct arch *arch = r->tracee->arch;
	struct regs regs;
	int64_t value;
	int rc;

	remote_regs_set(r, &r->code.begin);
	rc = run_to_call(r);
	if (!rc && r->code.calling.len)
		remote_regs_set(r, &r->code.calling);
	if (!rc)
		rc = run_to_call(r);
	if (!rc)
		rc = regs_now(r, &regs);
	if (rc)
		return rc;
	value = regs_syscall_result(arch, &regs);
	*result = value < -4095 && arch->word_size == 4 ? (uint32_t)value : value;
	return remote_come_home(r);
}

/* ---- all --------------------------------------------------------------- */

static int code_write(struct tracee *tracee, struct undo *undo, const struct undo_place *place,
		      const struct remote_code *code)
{
	const struct arch *arch = tracee->arch;
	uint8_t bytes[UNDO_PLACE_BYTES] = {0}, there[UNDO_PLACE_BYTES];
	uint32_t len = REMOTE_HEAD + code->len;

	if (target_read(&tracee->target, place->base, there, len) ||
	    memcmp(there, place->old, len))
		return -EBUSY;
	memcpy(bytes, arch->trap->magic, arch->trap->magic_len);
	memcpy(bytes + arch->trap->magic_len, &len, sizeof(len));
	memcpy(bytes + REMOTE_HEAD, code->bytes, code->len);
	return undo_area(undo, &tracee->target, place->base, place->old, bytes, len,
			 place->base + len, "", 0);
}

bool remote_is_left(const struct arch *arch, const uint8_t *bytes, size_t len)
{
	uint32_t used;

	if (memcmp(bytes, arch->trap->magic, arch->trap->magic_len))
		return false;
	memcpy(&used, bytes + arch->trap->magic_len, sizeof(used));
	if (used <= REMOTE_HEAD || used > len)
		return false;
	while (used < len && !bytes[used])
		used++;
	return used == len;
}

/* Writes the code, for the thread as it is then. */
static int prepare(struct remote_run *r, struct undo *undo, const struct undo_place *place,
		   const struct remote_program *program)
{
	struct tracee *tracee = r->tracee;
	const struct arch *arch = tracee->arch;
	bool own = arch->trap->remote_at && !r->thread->in_exec_stop &&
		   remote_whereabouts(tracee, r->thread, &r->home) == REMOTE_AT_CALL;
	int64_t ended = 0;
	int rc = 0;

	r->thread->regs_changed = 0; /* home has them */
	if (own) {
		remote_regs_set(r, &r->home);
		rc = make_own(r, &ended);
	}
	if (rc)
		return rc;
	r->code.spare = remote_spare(tracee, &r->home);
	rc = program->build(tracee, r->thread, program->arg, place->base + REMOTE_HEAD,
			    &r->home, own ? &ended : NULL, &r->code);
	if (!rc && REMOTE_HEAD + r->code.len > place->room)
		rc = -ERANGE;
	if (r->code.home.len)
		r->home = r->code.home;
	if (!rc)
		rc = code_write(tracee, undo, place, &r->code);
	if (rc && own)
		remote_come_home(r);
	return rc;
}

int remote_begin(struct tracee *tracee, struct undo *undo, const struct undo_place *place,
		 const struct remote_program *program, struct remote_run *ret, struct err *err)
{
	int rc, status;

	if (!place->base)
		return err_set(err, -ENOSPC, "no place for the code of a system call");
	rc = remote_choose(tracee, place, program, &ret->thread, err);
	if (rc)
		return rc;
	/* (Else it would be lost on its way, its code taken from under it.) */
	if (reap_peek(ret->thread->tid, &status) == -EINVAL)
		return err_set(err, -ENOSYS,
			       "no thread's stop can be looked at without taking it (before Linux 4.7)");
	ret->tracee = tracee;
	ret->code.calling.len = ret->code.home.len = ret->code.ended.len = 0;
	ret->code.enters = false;
	ret->home = *thread_regs(tracee, ret->thread);
	if (ret->thread->in_exec_stop) /* execve()'s result */
		memset(ret->home.bytes + tracee->arch->syscall_result_offset, 0,
		       tracee->arch->word_size);
	rc = prepare(ret, undo, place, program);
	return rc ? err_sys(err, rc, "the code of a system call can't be written") : 0;
}

int remote_end(struct remote_run *r, struct undo *undo, const struct undo_place *place, int rc,
	       struct err *err)
{
	if (rc == -ETIMEDOUT)
		return err_set(err, rc, "a system call of the process takes too long");
	undo_take_back(undo, &r->tracee->target, place->base);
	return rc ? err_sys(err, rc, "a thread did not make a system call") : 0;
}

static int build_call(const struct tracee *tracee, const struct thread *thread, const void *arg,
		      taddr_t at, const struct regs *regs, const int64_t *own,
		      struct remote_code *ret)
{
	(void)thread;
	return tracee->arch->trap->remote_build(at, arg, regs, own, ret);
}

int remote_call_of(struct tracee *tracee, struct undo *undo, const struct undo_place *place,
		   const struct remote_call *calls, size_t count, size_t which, int64_t *result,
		   struct err *err)
{
	const struct remote_program program = {build_call, &calls[which], calls, count};
	struct remote_run running;
	int rc;

	if (!tracee->arch->trap->remote_build)
		return err_set(err, -ENOTSUP, "not built for %s", tracee->arch->name);
	rc = remote_begin(tracee, undo, place, &program, &running, err);
	if (rc)
		return rc;
	return remote_end(&running, undo, place, run(&running, result), err);
}

int remote_call(struct tracee *tracee, struct undo *undo, const struct undo_place *place,
		const struct remote_call *call, int64_t *result, struct err *err)
{
	return remote_call_of(tracee, undo, place, call, 1, 0, result, err);
}

int remote_call_from_any(struct tracee *tracee, struct undo *undo,
			 const struct undo_places *places, const struct remote_call *calls,
			 size_t count, size_t which, int64_t *result, struct err *err)
{
	int first = remote_call_of(tracee, undo, &places->at[0], calls, count, which, result, err);
	struct err other;
	int rc;

	if (first != -ERANGE && first != -ENOSPC)
		return first;
	rc = remote_call_of(tracee, undo, &places->at[1], calls, count, which, result, &other);
	if (rc && rc != -ENOSPC && err)
		*err = other;
	return rc == -ENOSPC ? first : rc;
}
