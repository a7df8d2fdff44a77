/*
 * within [-h]: at READY it is stopped by SIGSTOP, its first thread standing behind malloc's
 * first instruction, where a patch is going to be.  A child has stepped it there and let go.
 * Continued, it says DONE when malloc has returned.
 *
 *   -h   a second thread was interrupted at the same place, and will return there from the
 *        handler of a signal, which ends with the test's line
 */
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "target.h"

enum { STEPS_MOST = 1000000 };

static volatile pid_t second;
static volatile int in_handler, go[2];

static void on_usr2(int signo)
{
	in_handler = signo;
	await_test();
}

static void allocate(int which)
{
	size_t size = 100;
	while (!go[which])
		;
	char *block = got(malloc(size), size);
	memset(block, 7, size);
	drop(block, size);
}

static void *interrupted(void *arg)
{
	second = (pid_t)syscall(SYS_gettid);
	allocate(1);
	return arg;
}

static uintptr_t pc_of(pid_t tid)
{
	struct __ptrace_syscall_info info = {0};
	ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info);
	return (uintptr_t)info.instruction_pointer;
}

/* Steps a thread into malloc, and lets it go with a signal. */
static int step_within(pid_t tid, int which, int leave_with)
{
	uintptr_t first = (uintptr_t)malloc;
	int status, left = STEPS_MOST;
	if (!memcmp((void *)first, "\xf3\x0f\x1e\xfa", 4)) /* endbr64 is never patched */
		first += 4;
	if (ptrace(PTRACE_SEIZE, tid, 0, 0) || ptrace(PTRACE_INTERRUPT, tid, 0, 0))
		return -1;
	waitpid(tid, &status, __WALL);
	int one = 1;
	struct iovec here = {&one, sizeof(one)}, there = {(void *)&go[which], sizeof(one)};
	process_vm_writev(tid, &here, 1, &there, 1, 0);
	while (pc_of(tid) - first - 1 >= 4 && --left)
		if (ptrace(PTRACE_SINGLESTEP, tid, 0, 0) ||
		    waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
			return -1;
	return left ? (int)ptrace(PTRACE_DETACH, tid, 0, leave_with) : -1;
}

/* In the child: `of` is our parent. */
static void step(pid_t of, int handler)
{
	int seen = 0;
	struct iovec here = {&seen, sizeof(seen)},
		     there = {(void *)&in_handler, sizeof(in_handler)};
	if (handler && step_within(second, 1, SIGUSR2))
		_exit(1);
	while (handler && !seen)
		process_vm_readv(of, &here, 1, &there, 1, 0);
	if (step_within(of, 0, SIGSTOP))
		_exit(1);
	say("READY %d\n", of);
	_exit(0);
}

int main(int argc, char **argv)
{
	int handler = argc > 1 && !strcmp(argv[1], "-h");
	pthread_t thread;
	struct sigaction action = {.sa_handler = on_usr2};
	sigaction(SIGUSR2, &action, NULL);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	free(malloc(1)); /* bound by now */
	if (handler) {
		pthread_create(&thread, NULL, interrupted, NULL);
		while (!second)
			;
	}
	pid_t self = getpid(), child = fork();
	if (child == 0)
		step(self, handler);
	allocate(0);
	target_done();
	int status = 0;
	waitpid(child, &status, 0);
	if (status)
		target_fail("not within malloc: 0x%x", status);
	if (handler)
		pthread_join(thread, NULL);
	return target_result(NULL);
}
