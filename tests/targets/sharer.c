/*
 * sharer: a child by clone(CLONE_VM), made before anybody attaches, allocates all the time
 * until the test says DONE.  The parent only waits: both have one allocator's thread.
 * waits: it waits instead, by a call that ends with EINTR when a stop shows.
 */
#include <sched.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "target.h"

static volatile int stop;

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

int main(int argc, char **argv)
{
	(void)argv;
	static char stack[1 << 20] __attribute__((aligned(16)));
	int status, fd = epoll_create1(0);
	pid_t pid = clone(argc > 1 ? wait_on : share, stack + sizeof(stack), CLONE_VM | SIGCHLD, &fd);

	target_ready();
	stop = 1;
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
		target_fail("the child ended with status 0x%x", status);
	return target_result(NULL);
}
