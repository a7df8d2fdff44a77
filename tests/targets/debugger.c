/*
 * debugger: a program that is a tracer itself.  It allocates, and steps and stops its
 * own child by ptrace, whose every stop must reach it.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "target.h"

enum { STEPS = 300, STOPS = 50 };

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

int main(void)
{
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
