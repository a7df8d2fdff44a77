/*
 * children ROUNDS: fork, vfork with allocations before exec, posix_spawn, system
 * and clone with shared memory, while two threads allocate.  What a fork child
 * allocates is its own and not counted; what a vfork child allocates happens in
 * the parent's memory, and is.  Every child's status is checked.
 *
 * children stay: a fork child that stays (CHILD <pid>), and a vfork child that takes its
 * time before exec, during which its parent's thread waits in the kernel.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "target.h"

extern char **environ;
static char *self;
static volatile int stop;
static pthread_barrier_t gate;

NOINLINE static void *background(void *arg)
{
	uint32_t seed = (uintptr_t)arg;
	pthread_barrier_wait(&gate);
	while (!stop) {
		size_t size = dice(&seed) % 300;
		drop(got(malloc(size), size), size);
	}
	return NULL;
}

static void expect(const char *what, pid_t pid, int want)
{
	int status = -1;
	if (pid < 0)
		target_fail("%s: %s", what, strerror(errno));
	else if (waitpid(pid, &status, 0) != pid)
		target_fail("%s: waitpid: %s", what, strerror(errno));
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
		target_fail("%s: the child's status is 0x%x", what, status);
}

/* Uncounted: a child's own allocations. */
NOINLINE static int childs_work(void)
{
	unsigned long sum = 0;
	for (int i = 0; i < 200; i++) {
		unsigned char *p = malloc(100 + i);
		memset(p, i, 100 + i);
		p = realloc(p, 300 + i);
		sum += p[99];
		free(p);
	}
	return sum == 199 * 200 / 2;
}

static void by_fork(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		pid_t inner = fork();
		if (inner == 0)
			_exit(childs_work() ? 6 : 1);
		int status;
		waitpid(inner, &status, 0);
		_exit(childs_work() && WIFEXITED(status) && WEXITSTATUS(status) == 6 ? 7 : 1);
	}
	expect("fork", pid, 7);
}

static void by_vfork(void)
{
	pid_t pid = vfork();
	if (pid == 0) {
		void *block = got(malloc(200), 200);
		drop(block, 200);
		execl(self, self, "child", NULL);
		_exit(1);
	}
	expect("vfork", pid, 9);
}

static void by_spawn(void)
{
	pid_t pid = -1;
	char *const argv[] = {self, "child", NULL};
	int rc = posix_spawn(&pid, self, NULL, NULL, argv, environ);
	if (rc)
		target_fail("posix_spawn: %s", strerror(rc));
	else
		expect("posix_spawn", pid, 9);
}

static int cloned(void *arg)
{
	(void)arg;
	_exit(5);
}

/* Memory is shared though ptrace calls it a fork. */
static void by_clone(void)
{
	static _Alignas(16) char stack[65536];
	expect("clone", clone(cloned, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL), 5);
}

static void by_slow_vfork(void)
{
	pid_t pid = vfork();
	if (pid == 0) {
		struct timespec pause = {.tv_nsec = 200000000};
		nanosleep(&pause, NULL);
		execl(self, self, "child", NULL);
		_exit(1);
	}
	expect("vfork", pid, 9);
}

static int stay(void)
{
	int ends[2];
	char c;
	target_ready();
	if (pipe(ends))
		target_fail("pipe: %s", strerror(errno));
	drop(got(malloc(70), 70), 70);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[1]);
		_exit(childs_work() && read(ends[0], &c, 1) == 0 && childs_work() ? 7 : 1);
	}
	drop(got(malloc(80), 80), 80);
	say("CHILD %d\n", pid);
	await_test();
	for (int i = 0; i < 5; i++)
		by_slow_vfork();
	close(ends[1]);
	expect("the child that stayed", pid, 7);
	target_done();
	return target_result(NULL);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1 && !strcmp(argv[1], "child"))
		return childs_work() ? 9 : 1;
	if (argc > 1 && !strcmp(argv[1], "stay"))
		return stay();
	int rounds = argc > 1 ? atoi(argv[1]) : 3;
	pthread_t threads[2];
	pthread_barrier_init(&gate, NULL, 3);
	for (intptr_t i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, background, (void *)(i + 1));
	target_ready();
	pthread_barrier_wait(&gate);
	for (int i = 0; i < rounds; i++) {
		by_fork();
		by_vfork();
		by_spawn();
		by_clone();
		int status = system("exit 3");
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 3)
			target_fail("system: 0x%x", status);
	}
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	target_done();
	return target_result(NULL);
}
