/*
 * sharer: a child by clone(CLONE_VM), made before anybody attaches, allocates all the time
 * until the test says DONE.  The parent only waits: both have one allocator's thread.
 * waits: it waits instead, by a call that ends with EINTR when a stop shows.
 * outlives: the parent ends at the test's line, and the child goes on until the next one, with system calls, too: it
 * ends with 7, or 9 where one gave something else;
 * with a further argument that is made at the line.
 * flees: made at the line; the parent ends, and the child becomes another program as soon as that shows, until
 * the next line;
 * execs: the parent becomes another program at the line, and the child goes on, too, until that
 * one's end; with a further argument that is made at the line.
 */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "target.h"

static volatile int stop, leaves;

NOINLINE static void *sharer_alloc(size_t size)
{
	char *block = malloc(size);

	if (block)
		block[0] = 1;
	return block;
}

static int share(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !stop; i++)
		free(sharer_alloc(20 + i % 100));
	return 7;
}

static int wait_on(void *arg)
{
	struct epoll_event event;
	int fd = *(int *)arg;

	while (!stop)
		if (epoll_wait(fd, &event, 1, 1000) < 0)
			return errno;
	return 7;
}

static int outlive(void *arg)
{
	const pid_t parent = *(int *)arg, self = getpid();

	while (getppid() == parent)
		free(sharer_alloc(20));
	say("ALONE %d\n", getpid());
	for (unsigned i = 0; !stop; i++) {
		free(sharer_alloc(20 + i % 100));
		if (getpid() != self)
			return 9;
	}
	return 7;
}

static int flee(void *arg)
{
	const pid_t parent = *(int *)arg;

	while (getppid() == parent)
		free(sharer_alloc(20));
	execl("/proc/self/exe", "sharer", "another", NULL);
	return 9;
}

static int die_before_it_flees(void)
{
	static char stack[1 << 18] __attribute__((aligned(16)));
	int self = getpid();

	target_ready();
	say("CHILD %d\n", clone(flee, stack + sizeof(stack), CLONE_VM | SIGCHLD, &self));
	_exit(3);
}

static int await_stop(void *arg)
{
	(void)arg;
	await_test();
	stop = 1;
	return 0;
}

static int die_before_the_child(int late)
{
	static char stacks[2][1 << 18] __attribute__((aligned(16)));
	int self = getpid();

	if (late)
		target_ready();
	clone(outlive, stacks[0] + sizeof(stacks[0]), CLONE_VM | SIGCHLD, &self);
	if (!late)
		target_ready();
	clone(await_stop, stacks[1] + sizeof(stacks[1]), CLONE_VM | SIGCHLD, &self);
	_exit(3);
}

static int stay(void *arg)
{
	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!leaves)
		free(sharer_alloc(20));
	say("ALONE %d\n", getpid());
	for (unsigned i = 0; getppid() != 1; i++)
		free(sharer_alloc(20 + i % 100));
	return 0;
}

static int become_another(char *self, int late)
{
	static char stack[1 << 18] __attribute__((aligned(16)));

	if (late)
		target_ready();
	clone(stay, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	if (!late)
		target_ready();
	leaves = 1;
	execl(self, self, "another", NULL);
	return 1;
}

static int be_another(void)
{
	drop(got(malloc(100), 100), 100);
	await_test();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "execs"))
		return become_another(argv[0], argc > 2);
	if (argc > 1 && !strcmp(argv[1], "flees"))
		return die_before_it_flees();
	if (argc > 1 && !strcmp(argv[1], "another"))
		return be_another();
	if (argc > 1 && !strcmp(argv[1], "outlives"))
		return die_before_the_child(argc > 2);
	static char stack[1 << 20] __attribute__((aligned(16)));
	int status, fd = epoll_create1(0);
	pid_t pid = clone(argc > 1 ? wait_on : share, stack + sizeof(stack), CLONE_VM | SIGCHLD, &fd);

	target_ready();
	stop = 1;
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
		target_fail("the child ended with status 0x%x", status);
	return target_result(NULL);
}
