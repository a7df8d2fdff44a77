/*
 * debugger: a program that is a tracer itself.  It allocates, and steps and stops its
 * own child by ptrace, whose every stop must reach it.
 *
 * debugger vfork | plain | clone: while two threads allocate, children that share the memory
 * ask to be traced; by vfork() they allocate before, change handlers behind it (not in plain),
 * and exec, by clone() they stop.
 *
 * debugger raw: the same as vfork, with a system call of the child's own.
 * debugger always | rawly: it makes children by vfork() one after the other until the test's line,
 * which ask and end.
 * debugger endless: the same, and they allocate and change handlers before they do.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target.h"

enum { STEPS = 300, STOPS = 50, ROUNDS = 20 };
static volatile int stop, plain, raw, endless;
static pthread_barrier_t gate;
static char *self;

static void child_main(void)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	for (int i = 0; i < STOPS; i++) {
		volatile char *block = malloc(100);
		block[0] = i;
		raise(SIGUSR1);
		free((void *)block);
	}
	_exit(21);
}

static int stop_of(pid_t pid)
{
	int status = 0;
	if (waitpid(pid, &status, 0) != pid)
		target_fail("waitpid: %s", strerror(errno));
	return status;
}

static void *allocating(void *arg)
{
	uint32_t seed = (uintptr_t)arg;
	pthread_barrier_wait(&gate);
	while (!stop) {
		size_t size = dice(&seed) % 300;
		drop(got(malloc(size), size), size);
	}
	return NULL;
}

static long asks(void)
{
	return raw ? syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0) : ptrace(PTRACE_TRACEME, 0, 0, 0);
}

static pid_t by_vfork(void)
{
	pid_t pid = vfork();
	if (pid == 0) {
		struct sigaction action = {.sa_handler = SIG_DFL};
		drop(got(malloc(300), 300), 300);
		if (asks())
			_exit(31);
		for (int i = 0; i < 8 && !plain; i++)
			sigaction(SIGUSR1 + i % 2, &action, NULL);
		execl(self, self, "child", NULL);
		_exit(32);
	}
	return pid;
}

static int cloned(void *arg)
{
	(void)arg;
	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		_exit(31);
	raise(SIGSTOP);
	_exit(21);
}

static pid_t by_clone(void)
{
	static _Alignas(16) char stack[65536];
	return clone(cloned, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
}

static void trace_one(pid_t (*make)(void), int first)
{
	pid_t pid = make();
	int status = stop_of(pid);
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != first)
		target_fail("first stop: 0x%x", status);
	ptrace(PTRACE_CONT, pid, 0, 0);
	status = stop_of(pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 21)
		target_fail("the child: 0x%x", status);
}

/* What it does behind its asking would stop it, were a trap of somebody else's to send a signal:
 * with its tracer asleep in vfork(). */
static void end_traced(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	for (int i = 0; i < 8 && endless; i++) {
		free(malloc(300));
		sigaction(SIGUSR1 + i % 2, &action, NULL);
	}
	_exit(21);
}

static int trace_always(void)
{
	struct pollfd input = {0, POLLIN, 0};
	static unsigned long made, refused;
	char more[80];
	target_ready();
	do {
		pid_t pid = vfork();
		if (pid == 0) {
			if (asks())
				_exit(31);
			end_traced();
		}
		refused += WEXITSTATUS(stop_of(pid)) != 21;
	} while (made++, poll(&input, 1, 0) == 0);
	await_test();
	target_done();
	snprintf(more, sizeof(more), ", \"made\": %lu, \"refused\": %lu", made, refused);
	return target_result(more);
}

static int trace_sharing_children(pid_t (*make)(void), int first)
{
	pthread_t threads[2];
	pthread_barrier_init(&gate, NULL, 3);
	for (intptr_t i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, allocating, (void *)(i + 1));
	target_ready();
	pthread_barrier_wait(&gate);
	for (int i = 0; i < ROUNDS; i++)
		trace_one(make, first);
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	target_done();
	return target_result(NULL);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1 && !strcmp(argv[1], "child"))
		return 21;
	plain = argc > 1 && !strcmp(argv[1], "plain");
	raw = argc > 1 && !strncmp(argv[1], "raw", 3);
	endless = argc > 1 && !strcmp(argv[1], "endless");
	if (argc > 1 && (endless || !strcmp(argv[1], "always") || !strcmp(argv[1], "rawly")))
		return trace_always();
	if (argc > 1 && (plain || raw || !strcmp(argv[1], "vfork")))
		return trace_sharing_children(by_vfork, SIGTRAP);
	if (argc > 1 && !strcmp(argv[1], "clone"))
		return trace_sharing_children(by_clone, SIGSTOP);
	target_ready();
	pid_t pid = fork();
	if (pid == 0)
		child_main();
	int status = stop_of(pid), stops = 0;
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
		target_fail("first stop: 0x%x", status);
	for (int i = 0; i < STEPS; i++) {
		drop(got(malloc(50), 50), 50);
		ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
		status = stop_of(pid);
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) {
			target_fail("step %d: 0x%x", i, status);
			break;
		}
	}
	for (;;) {
		drop(got(malloc(60), 60), 60);
		ptrace(PTRACE_CONT, pid, 0, 0);
		status = stop_of(pid);
		if (!WIFSTOPPED(status))
			break;
		stops += WSTOPSIG(status) == SIGUSR1;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 21 || stops != STOPS)
		target_fail("the child: 0x%x after %d stops", status, stops);
	target_done();
	return target_result(NULL);
}
