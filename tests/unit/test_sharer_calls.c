/*
 * A child that shares the memory and asks to be traced by its parent (PTRACE_TRACEME) is held
 * where it asks: let go it is traced, and where its tracer is killed it is refused, as else it
 * would run into what is not put back yet with a parent that sleeps in vfork().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/ptrace.h>
#include <time.h>

#include "child_case.h"
#include "tracer/sharers.h"
#include "tracer/threads.h"

enum { TRACED = 21, REFUSED = 31, CALLS_BEFORE = 200, MANY_CLOSED = 300 };

enum how {
	BY_VFORK,
	ON_ITS_OWN_STACK,
	LIKE_SPAWNED,
	WITH_HANDLERS,
	BLOCKING_ALL,
	STOPPED_FIRST,
	HAVING_CLOSED, /* so that its calls are looked at no more */
	WAITING,       /* the same; for a byte */
};

struct asking {
	enum how how;
	int go[2];
};

static int ask(void *arg)
{
	const struct asking *asking = arg;
	sigset_t set;
	char byte;

	if (asking->how == STOPPED_FIRST)
		syscall(SYS_kill, syscall(SYS_getpid), SIGSTOP);
	for (int i = 0; i < CALLS_BEFORE; i++)
		syscall(SYS_getppid);
	for (int i = 0; i < (asking->how >= HAVING_CLOSED ? MANY_CLOSED : 0); i++)
		syscall(SYS_close, -1);
	if (asking->how == WAITING && syscall(SYS_read, asking->go[0], &byte, 1) != 1)
		_exit(1);
	memset(&set, 0xff, sizeof(set)); /* as the C library does it, those of its own, too */
	if (asking->how == LIKE_SPAWNED || asking->how == BLOCKING_ALL)
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, arch_native()->signal_set_len);
	if (asking->how == LIKE_SPAWNED || asking->how == WITH_HANDLERS)
		syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, arch_native()->signal_set_len);
	_exit(syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0) ? REFUSED : TRACED);
}

static pid_t child_make(struct asking *asking)
{
	static _Alignas(16) char stack[65536];
	pid_t pid;

	if (asking->how != BY_VFORK)
		return clone(ask, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD,
			     asking);
	pid = vfork();
	if (pid == 0)
		ask(asking);
	return pid;
}

/* Says 0, and then how its child ended. */
static void be_target(struct child_case *self, void *arg)
{
	struct asking *asking = arg;
	int status = 0;
	char byte;

	child_say(self, 0);
	if (read(asking->go[0], &byte, 1) != 1 || waitpid(child_make(asking), &status, 0) < 0 ||
	    !WIFEXITED(status))
		_exit(1);
	child_say(self, WEXITSTATUS(status));
	child_idle(self, NULL);
}

static struct child_case target_start(struct asking *asking)
{
	struct child_case target;

	assert_int_equal(pipe2(asking->go, O_CLOEXEC), 0);
	target = child_start(be_target, asking);
	assert_int_equal(child_hear(&target), 0);
	return target;
}

static void target_go_on(struct asking *asking)
{
	assert_int_equal(write(asking->go[1], "", 1), 1);
	close(asking->go[0]);
	close(asking->go[1]);
}

/* Follows the target until its child asks, and is held, or has ended: NULL. */
static struct thread *follow(struct tracee *tracee)
{
	struct stop stop;

	for (;;) {
		if (tracee_next(tracee, true, &stop) != 1)
			continue;
		if (stop.kind == STOP_THREAD_EXIT)
			return NULL;
		if (stop.kind == STOP_ASKS)
			return stop.thread;
		tracee_continue(tracee, stop.thread);
	}
}

/* Until the target says something. */
static void follow_on(struct tracee *tracee, const struct child_case *target)
{
	struct pollfd look = {.fd = target->hear, .events = POLLIN};
	struct stop stop;

	while (poll(&look, 1, 0) == 0)
		if (tracee_next(tracee, false, &stop) == 1 && stop.kind != STOP_THREAD_EXIT)
			tracee_continue(tracee, stop.thread);
}

static void be_tracer(struct child_case *self, void *arg)
{
	const struct child_case *target = arg;
	struct tracee tracee;

	if (tracee_attach(&tracee, target->pid, NULL))
		_exit(1);
	tracee_watch_sharers(&tracee, false);
	child_say(self, 1);
	child_say(self, follow(&tracee) != NULL);
	for (;;)
		pause();
}

static void killed_while_it_is_held(enum how how)
{
	struct asking asking = {.how = how};
	struct child_case target = target_start(&asking), tracer;

	tracer = child_start(be_tracer, &target);
	assert_int_equal(child_hear(&tracer), 1);
	target_go_on(&asking);
	assert_true(child_hear(&tracer));
	child_end(&tracer);
	assert_int_equal(child_hear(&target), REFUSED);
	child_end(&target);
}

static void test_killed(void **state)
{
	(void)state;
	killed_while_it_is_held(BY_VFORK);
	killed_while_it_is_held(ON_ITS_OWN_STACK);
}

/* The target's child ends as this says. */
static void let_go(enum how how, bool all, int end)
{
	struct asking asking = {.how = how};
	struct child_case target = target_start(&asking);
	struct tracee tracee;
	struct thread *asks;

	assert_int_equal(tracee_attach(&tracee, target.pid, NULL), 0);
	tracee_watch_sharers(&tracee, all);
	target_go_on(&asking);
	asks = follow(&tracee);
	assert_int_equal(asks ? TRACED : REFUSED, end);
	if (asks)
		tracee_let_go(&tracee, asks);
	follow_on(&tracee, &target);
	assert_int_equal(child_hear(&target), end);
	tracee_release(&tracee);
	child_end(&target);
}

static void test_let_go(void **state)
{
	(void)state;
	let_go(BY_VFORK, false, TRACED);
	let_go(ON_ITS_OWN_STACK, false, TRACED);
}

/* Handlers are what posix_spawn()'s child looks at, all signals blocked, which never asks; who
 * closes many files one by one does not either. */
static void test_spawned(void **state)
{
	(void)state;
	let_go(WITH_HANDLERS, false, TRACED);
	let_go(BLOCKING_ALL, false, TRACED);
	let_go(HAVING_CLOSED, false, REFUSED);
	let_go(LIKE_SPAWNED, false, REFUSED);
	let_go(LIKE_SPAWNED, true, TRACED);
}

/* ---- asked before we came ---------------------------------------------- */

static void wait_until(pid_t pid, char state)
{
	const struct timespec moment = {0, 1000000};
	struct status status;

	while (assert_int_equal(status_read(pid, 0, &status), 0), status.state != state)
		nanosleep(&moment, NULL);
}

/* The one that shares the target's memory. */
static pid_t child_of(pid_t pid)
{
	const struct timespec moment = {0, 1000000};
	struct tid_list found = {0};
	pid_t child;

	while (assert_int_equal(sharers_list(pid, &found), 0), !found.len)
		nanosleep(&moment, NULL);
	child = found.at[0];
	vec_deinit(&found);
	return child;
}

/* Runs a child that is stopped until it has been refused, as it is traced by us, and lets go of it
 * there: it is stopped again, before its next instruction. */
static void refuse(pid_t child)
{
	enum { GET_SYSCALL_INFO = 0x420e, ENTRY = 1 };
	uint64_t info[16], number = 0;
	int status;

	assert_int_equal(ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESYSGOOD), 0);
	kill(child, SIGCONT);
	for (;;) {
		assert_int_equal(waitpid(child, &status, __WALL), child);
		assert_true(WIFSTOPPED(status));
		if (status >> 8 == (SIGTRAP | 0x80)) {
			bool asked = number == SYS_ptrace;

			assert_true(ptrace((int)GET_SYSCALL_INFO, child, sizeof(info), info) > 0);
			number = (info[0] & 0xff) == ENTRY ? info[3] : 0;
			if (asked)
				break;
		}
		ptrace(PTRACE_SYSCALL, child, 0, 0);
	}
	kill(child, SIGSTOP);
	ptrace(PTRACE_DETACH, child, 0, 0);
	wait_until(child, 'T');
}

/* (So it is for one that asks between our seizing it and its first stop.) */
static void test_refused_as_we_came(void **state)
{
	struct asking asking = {.how = STOPPED_FIRST};
	struct child_case target;
	struct tracee tracee;
	struct thread *asks;
	pid_t child;

	(void)state;
	if (arch_native()->call_number_offset == arch_native()->syscall_result_offset)
		skip(); /* MIPS: the result has taken the number's place */
	target = target_start(&asking);
	target_go_on(&asking);
	child = child_of(target.pid);
	wait_until(child, 'T');
	refuse(child);
	assert_int_equal(tracee_attach(&tracee, target.pid, NULL), 0);
	tracee_settle_sharers(&tracee);
	kill(child, SIGCONT);
	asks = follow(&tracee);
	assert_non_null(asks);
	tracee_let_go(&tracee, asks);
	follow_on(&tracee, &target);
	assert_int_equal(child_hear(&target), TRACED);
	tracee_release(&tracee);
	child_end(&target);
}

/* ---- in one batch with others ------------------------------------------ */

struct stopping {
	struct asking asking;
	struct child_case target;
};

/* Until a child has been born and waits, and its calls are looked at no more. */
static pid_t follow_to_wait(struct tracee *tracee)
{
	const struct timespec moment = {0, 1000000};
	struct thread *child = NULL;
	struct status status;
	struct stop stop;

	for (;;) {
		if (tracee_next(tracee, false, &stop) == 1) {
			child = stop.kind == STOP_CHILD ? stop.thread : child;
			tracee_continue(tracee, stop.thread);
		} else if (child && !child->calls && !status_read(child->tid, 0, &status) &&
			   status.state == 'S') {
			return child->tid;
		} else {
			nanosleep(&moment, NULL);
		}
	}
}

/* (Not the target's parent: a wait finds children first, and then whoever was seized last.) */
static void be_stopper(struct child_case *self, void *arg)
{
	struct stopping *stopping = arg;
	pid_t pid = stopping->target.pid, child;
	struct thread *parent;
	struct tracee tracee;
	struct stop stop;

	if (tracee_attach(&tracee, pid, NULL))
		_exit(1);
	tracee_watch_sharers(&tracee, false);
	if (write(stopping->asking.go[1], "", 1) != 1)
		_exit(1);
	child = follow_to_wait(&tracee);
	target_go_on(&stopping->asking);
	wait_until(child, 'Z');
	wait_until(pid, 't');
	child_say(self, tracee_next(&tracee, true, &stop) == 1 && stop.kind == STOP_THREAD_EXIT &&
				tracee.queue.len - tracee.queue_head == 1);
	child_say(self, tracee_stop(&tracee, NULL));
	parent = tracee_find(&tracee, pid);
	child_say(self, !parent->in_vfork && parent->state == THREAD_STOPPED);
	tracee_release(&tracee);
}

/* The end of a child, and that its parent goes on, are reaped together: whoever stops all when he
 * was handed the first has the second handled, too. */
static void test_parent_is_stopped_when_its_child_has_ended(void **state)
{
	struct stopping stopping = {.asking = {.how = WAITING}};
	struct child_case stopper;

	(void)state;
	stopping.target = target_start(&stopping.asking);
	stopper = child_start(be_stopper, &stopping);
	assert_int_equal(child_hear(&stopper), 1); /* (else it is no such case) */
	assert_int_equal(child_hear(&stopper), 0);
	assert_int_equal(child_hear(&stopper), 1);
	assert_int_equal(child_hear(&stopping.target), REFUSED);
	child_end(&stopper);
	close(stopping.asking.go[0]);
	close(stopping.asking.go[1]);
	child_end(&stopping.target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_let_go),
		cmocka_unit_test(test_spawned),
		cmocka_unit_test(test_refused_as_we_came),
		cmocka_unit_test(test_parent_is_stopped_when_its_child_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
