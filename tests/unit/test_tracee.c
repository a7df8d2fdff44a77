/*
 * Signals on their way through us: the program's own come first, and are passed on also
 * while all threads are made to stand, so that none is lost when we are killed then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "child_case.h"
#include "tracer/runners.h"
#include "tracer/threads.h"

static const struct child_case *told; /* in the target */

static void on_usr1(int signo)
{
	child_say(told, signo);
}

static void *wait_for_ever(void *arg)
{
	child_say(arg, syscall(SYS_gettid));
	for (;;)
		pause();
	return NULL;
}

/* Two threads; says their ids. */
static void be_target(struct child_case *self, void *arg)
{
	struct sigaction action = {.sa_handler = on_usr1};
	pthread_t thread;

	(void)arg;
	told = self;
	sigaction(SIGUSR1, &action, NULL);
	child_say(self, getpid());
	pthread_create(&thread, NULL, wait_for_ever, self);
	for (;;)
		pause();
}

/* ---- killed while all are stopped ------------------------------------------- */

static void be_tracer(struct child_case *self, void *arg)
{
	const struct child_case *target = arg;
	struct tracee tracee;

	if (tracee_attach(&tracee, target->pid, NULL))
		_exit(1);
	kill(target->pid, SIGUSR1);
	if (child_stop(&tracee, child_go_on, &tracee, NULL))
		_exit(2);
	child_say(self, 1);
	for (;;)
		pause();
}

static bool has_spoken(const struct child_case *child)
{
	struct pollfd look = {.fd = child->hear, .events = POLLIN};

	return poll(&look, 1, 0) == 1;
}

static void a_signal_that_came_while_all_were_stopped(void **state)
{
	struct child_case target = child_start(be_target, NULL), tracer;

	(void)state;
	child_hear(&target);
	child_hear(&target);
	tracer = child_start(be_tracer, &target);
	assert_int_equal(child_hear(&tracer), 1);
	assert_false(has_spoken(&target)); /* it has been handed on, and nothing runs */
	child_end(&tracer);
	assert_int_equal(child_hear(&target), SIGUSR1);
	child_end(&target);
}

/* ---- in a batch ------------------------------------------------------------------ */

static void wait_until_it_is(char state, pid_t pid, pid_t tid)
{
	struct status status;

	do
		assert_int_equal(status_read(pid, tid, &status), 0);
	while (status.state != state);
}

static void wait_until_stopped(pid_t pid, pid_t tid)
{
	wait_until_it_is('t', pid, tid);
}

/* Two threads are stopped, by our signal and by the program's. */
static void first_of_two(bool leader_first)
{
	struct child_case target = child_start(be_target, NULL);
	pid_t leader = (pid_t)child_hear(&target), other = (pid_t)child_hear(&target);
	pid_t ours = leader_first ? leader : other, theirs = leader_first ? other : leader;
	struct tracee tracee;
	struct stop stop;

	assert_int_equal(tracee_attach(&tracee, leader, NULL), 0);
	tracee.own_signal = SIGURG;
	syscall(SYS_tgkill, leader, ours, SIGURG);
	wait_until_stopped(leader, ours);
	syscall(SYS_tgkill, leader, theirs, SIGUSR1);
	wait_until_stopped(leader, theirs);
	assert_int_equal(tracee_next(&tracee, true, &stop), 1);
	assert_int_equal(stop.kind, STOP_SIGNAL);
	assert_int_equal(stop.signal, SIGUSR1);
	assert_int_equal(stop.thread->tid, theirs);
	tracee_continue(&tracee, stop.thread);
	assert_int_equal(child_hear(&target), SIGUSR1);
	assert_int_equal(tracee_next(&tracee, true, &stop), 1);
	assert_int_equal(stop.signal, SIGURG);
	assert_int_equal(stop.thread->tid, ours);
	tracee_continue(&tracee, stop.thread);
	tracee_release(&tracee);
	child_end(&target);
}

static void the_programs_signals_come_first(void **state)
{
	(void)state;
	first_of_two(true);
	first_of_two(false);
}

/* ---- who stops all the while ------------------------------------------------------------ */

static void *signal_oneself(void *arg)
{
	child_say(arg, syscall(SYS_gettid));
	for (;;)
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGURG);
	return NULL;
}

/* Two threads; the second stops again as soon as it goes on.  Says their ids. */
static void be_busy_target(struct child_case *self, void *arg)
{
	pthread_t thread;

	(void)arg;
	child_say(self, getpid());
	pthread_create(&thread, NULL, signal_oneself, self);
	for (;;)
		pause();
}

/* As on a slow machine: the next stop is there before anybody looks. */
static void go_on_to_the_next(void *arg, struct stop *stop)
{
	struct tracee *tracee = arg;

	if (!stop->thread)
		return;
	tracee_continue(tracee, stop->thread);
	wait_until_stopped(tracee->pid, stop->thread->tid);
}

/* While somebody is waited for, who does not stop: memtrace must not hang there, as it did in a
 * storm of allocations that a killed one had left. */
static void with_one_that_stops_all_the_while(void (*look)(struct tracee *tracee,
							   struct thread *leader))
{
	struct child_case target = child_start(be_busy_target, NULL);
	pid_t leader = (pid_t)child_hear(&target), other = (pid_t)child_hear(&target);
	struct tracee tracee;

	assert_int_equal(tracee_attach(&tracee, leader, NULL), 0);
	tracee.own_signal = SIGURG;
	tracee.handle = go_on_to_the_next;
	tracee.handle_arg = &tracee;
	wait_until_stopped(leader, other);
	alarm(60); /* it took stops for ever */
	look(&tracee, threads_find(&tracee, leader));
	alarm(0);
	tracee_release(&tracee);
	child_end(&target);
}

static void settle_one_that_sleeps(struct tracee *tracee, struct thread *leader)
{
	tracee_settle_sharers(tracee); /* there are none */
	leader->sharer = leader->interrupted = true; /* (it is not) */
	tracee_settle_sharers(tracee);
	leader->sharer = leader->interrupted = false;
}

static void others_that_stop_while_sharers_are_settled(void **state)
{
	(void)state;
	with_one_that_stops_all_the_while(settle_one_that_sleeps);
}

static void hand_out_nobody(struct tracee *tracee, struct thread *leader)
{
	(void)leader;
	tracee_hand_out_children(tracee);
}

static void others_that_stop_while_children_are_handed_out(void **state)
{
	(void)state;
	with_one_that_stops_all_the_while(hand_out_nobody);
}

/* ---- children ----------------------------------------------------------------------- */

/* flags: of clone(2), shared with the test, which sets them: a child is made that stays. */
static void be_parent(struct child_case *self, void *arg)
{
	child_say(self, 1);
	for (volatile long *flags = arg; *flags < 0;)
		usleep(1000);
	if (syscall(SYS_clone, *(long *)arg, 0, 0, 0, 0) == 0)
		for (;;)
			pause();
	for (;;)
		pause();
}

struct parenthood {
	long *flags;
	struct child_case parent;
	struct tracee tracee;
	pid_t child;
	int stops; /* of the child, by kind */
	bool shares;
};

static pid_t child_of(pid_t pid)
{
	char path[64];
	FILE *file;
	int child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	do {
		file = fopen(path, "r");
		assert_non_null(file);
		if (fscanf(file, "%d", &child) != 1)
			child = 0;
		fclose(file);
	} while (!child);
	return child;
}

/* The parent stands at its event and the child at its first stop, and we know of neither. */
static void make_child(struct parenthood *p, long flags)
{
	memset(p, 0, sizeof(*p));
	p->flags = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	*p->flags = -1;
	p->parent = child_start(be_parent, p->flags);
	child_hear(&p->parent);
	assert_int_equal(tracee_attach(&p->tracee, p->parent.pid, NULL), 0);
	*p->flags = flags;
	p->child = child_of(p->parent.pid);
	wait_until_stopped(p->child, p->child);
	wait_until_stopped(p->parent.pid, p->parent.pid);
}

static void note(void *arg, struct stop *stop)
{
	struct parenthood *p = arg;

	if (stop->thread && stop->thread->tid == p->child) {
		p->stops |= 1 << stop->kind;
		p->shares = stop->shares_memory;
	}
	if (stop->thread)
		tracee_continue(&p->tracee, stop->thread);
}

static void end_child(struct parenthood *p)
{
	kill(p->child, SIGKILL);
	tracee_release(&p->tracee);
	child_end(&p->parent);
	munmap(p->flags, sizeof(long));
}

/* Its parent told of it, and its own first stop will never come: nobody waits for that. */
static void a_child_that_was_killed_before_its_first_stop(void **state)
{
	struct parenthood p;

	(void)state;
	make_child(&p, SIGCHLD);
	assert_true(vec_reserve(&p.tracee.expected, 1)); /* as if that had been a while ago */
	p.tracee.expected.at[p.tracee.expected.len++].pid = p.child;
	kill(p.child, SIGKILL);
	wait_until_it_is('Z', p.child, p.child);
	assert_int_equal(child_stop(&p.tracee, note, &p, NULL), 0);
	end_child(&p);
}

/* The kernel calls clone() without an exit signal a new thread's event. */
static void a_child_without_an_exit_signal(void **state)
{
	struct parenthood p;

	(void)state;
	make_child(&p, 0);
	assert_int_equal(child_stop(&p.tracee, note, &p, NULL), 0);
	assert_int_equal(p.stops, 1 << STOP_CHILD);
	assert_false(p.shares);
	end_child(&p);
}

static void signal_later(struct child_case *self, void *arg)
{
	(void)self;
	usleep(100000);
	kill(*(pid_t *)arg, SIGURG);
}

/* Traced, but its parent was killed on the way to its event, and its stop is still to come. */
static void a_child_that_nobody_told_of(void **state)
{
	struct child_case sender;
	struct parenthood p;
	struct thread *thread;

	(void)state;
	make_child(&p, SIGCHLD);
	assert_int_equal(child_stop(&p.tracee, note, &p, NULL), 0);
	tracee_resume(&p.tracee);
	thread = threads_find(&p.tracee, p.child);
	threads_remove(&p.tracee, thread); /* as if we had never heard of it */
	threads_free(&p.tracee, thread);
	p.stops = 0;
	sender = child_start(signal_later, &p.child);
	tracee_hand_out_children(&p.tracee);
	assert_int_equal(p.stops, 1 << STOP_CHILD);
	child_end(&sender);
	end_child(&p);
}

/* ---- an exec that overtakes ------------------------------------------------------- */

/* exec: shared with the test, which sets it. */
static void *exec_when_told(void *arg)
{
	for (volatile bool *exec = arg; !*exec;)
		usleep(1000);
	execl("/proc/self/exe", "test", "wait", NULL);
	_exit(99);
}

static void be_exec_target(struct child_case *self, void *arg)
{
	pthread_t thread;

	pthread_create(&thread, NULL, exec_when_told, arg);
	child_say(self, 1);
	for (;;)
		pause();
}

static void wait_until_exec(pid_t pid)
{
	struct status status;

	do
		assert_int_equal(status_read(pid, 0, &status), 0);
	while (strcmp(status.name, "exe") || status.state != 't');
}

/* The leader stands, is killed by another thread's exec, and then continued: what has its
 * id now stands before the first instruction of the new program, and is told of. */
static void a_stop_that_an_exec_ended(void **state)
{
	bool *exec = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct child_case target = child_start(be_exec_target, exec);
	struct tracee tracee;
	struct stop stop;

	(void)state;
	child_hear(&target);
	assert_int_equal(tracee_attach(&tracee, target.pid, NULL), 0);
	syscall(SYS_tgkill, target.pid, target.pid, SIGURG);
	assert_int_equal(tracee_next(&tracee, true, &stop), 1);
	assert_int_equal(stop.signal, SIGURG);
	thread_regs(&tracee, stop.thread);
	thread_regs_touch(stop.thread); /* and its registers are not the new program's */
	*exec = true;
	wait_until_exec(target.pid);
	tracee_continue(&tracee, stop.thread);
	wait_until_exec(target.pid); /* it does not run */
	do
		assert_int_equal(tracee_next(&tracee, true, &stop), 1);
	while (stop.kind == STOP_THREAD_EXIT);
	assert_int_equal(stop.kind, STOP_EXEC);
	assert_int_equal(tracee.count, 1);
	tracee_continue(&tracee, stop.thread);
	tracee_release(&tracee);
	child_end(&target);
	munmap(exec, 1);
}

/* A thread of the process stops before its birth is told; the process is the child of a runner. */
static void a_new_thread_is_no_runner(void **state)
{
	struct child_case target = child_start(be_target, NULL);
	pid_t leader = (pid_t)child_hear(&target), other = (pid_t)child_hear(&target);
	const struct runner parent = {getpid(), getpid()};
	struct tracee tracee;

	(void)state;
	assert_int_equal(tracee_attach(&tracee, leader, NULL), 0);
	assert_true(vec_push(&tracee.runners, parent));
	assert_true(runners_know(&tracee, getpid()));
	assert_false(runners_know(&tracee, other));
	vec_deinit(&tracee.runners);
	tracee_release(&tracee);
	child_end(&target);
}

static void fork_and_wait(void)
{
	raise(SIGSTOP);
	if (fork())
		pause();
	_exit(0);
}

/* Its parent had no core, and tells of it when another one follows it already. */
static void a_child_that_was_given_away_is_no_runner(void **state)
{
	struct tracee tracee = {.pid = -1};
	unsigned long child = 0;
	struct stop stop;
	pid_t parent = fork();
	int status;

	(void)state;
	if (parent == 0)
		fork_and_wait();
	assert_int_equal(waitpid(parent, &status, WUNTRACED), parent);
	assert_int_equal(ptrace(PTRACE_SEIZE, parent, 0, PTRACE_O_TRACEFORK), 0);
	kill(parent, SIGCONT);
	while (status >> 16 != PTRACE_EVENT_FORK) {
		ptrace(PTRACE_CONT, parent, 0, 0);
		assert_int_equal(waitpid(parent, &status, __WALL), parent);
	}
	assert_int_equal(ptrace(PTRACE_GETEVENTMSG, parent, 0, &child), 0);
	assert_true(vec_push(&tracee.runners, ((struct runner){parent, parent})));
	assert_int_equal(waitpid((pid_t)child, NULL, __WALL), child);
	assert_int_equal(ptrace(PTRACE_DETACH, (pid_t)child, 0, 0), 0);
	runners_stop(&tracee, parent, status, &stop);
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, &status, __WALL), parent);
	assert_int_equal(tracee.runners.len, 1);
	vec_deinit(&tracee.runners);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) /* the new program */
		for (;;)
			pause();

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signal_that_came_while_all_were_stopped),
		cmocka_unit_test(the_programs_signals_come_first),
		cmocka_unit_test(a_child_that_was_given_away_is_no_runner),
		cmocka_unit_test(others_that_stop_while_sharers_are_settled),
		cmocka_unit_test(others_that_stop_while_children_are_handed_out),
		cmocka_unit_test(a_child_that_was_killed_before_its_first_stop),
		cmocka_unit_test(a_child_without_an_exit_signal),
		cmocka_unit_test(a_child_that_nobody_told_of),
		cmocka_unit_test(a_stop_that_an_exec_ended),
		cmocka_unit_test(a_new_thread_is_no_runner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
