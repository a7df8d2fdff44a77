/*
 * execs [thread|fault|crowd ROUNDS|forks ROUNDS]: allocates, then becomes another program (itself with "second"),
 * from the main thread or from another one.  The second program's tally is what
 * counts in the end: statistics begin anew with an exec.
 *
 * fault: while a thread is about to kill the process by a fault.  Which of both comes first
 * is chance; the exec is a long one (of many arguments).
 *
 * crowd: it becomes itself again ROUNDS times, each time by one of 400 threads.
 * forks: the same, while threads fork, and others allocate.
 * pending ROUNDS: the same, while a thread does what a tracer has to stop everybody for: it catches
 * one signal after another, and in every third round says that it is about to filter its calls.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "target.h"

static char *self;

NOINLINE static void *first_alloc(size_t size)
{
	return malloc(size);
}

NOINLINE static void *second_alloc(size_t size)
{
	return got(malloc(size), size);
}

static volatile int go;

static void *fault(void *arg)
{
	while (!go)
		;
	*(volatile int *)arg = 1;
	return NULL;
}

static void race(void)
{
	enum { MANY = 12, LONG = 100000 };
	static char argument[LONG];
	char *argv[MANY + 3] = {self, "second"};
	pthread_t thread;

	memset(argument, 'x', LONG - 1);
	for (int i = 0; i < MANY; i++)
		argv[2 + i] = argument;
	pthread_create(&thread, NULL, fault, NULL);
	usleep(10000); /* it spins */
	go = 1;
	execv(self, argv);
}

static void *become(void *arg)
{
	execl(self, self, "second", NULL);
	return arg;
}

static void *rest(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *go_round(void *arg)
{
	char rounds[20];

	snprintf(rounds, sizeof(rounds), "%d", atoi(arg) - 1);
	usleep(1000 * (atoi(arg) % 10));
	execl(self, self, "crowd", rounds, "again", NULL);
	return NULL;
}

static int crowd(char *rounds)
{
	enum { CROWD = 400, STACK = 65536 };
	pthread_attr_t small;
	pthread_t thread;

	if (!atoi(rounds)) {
		target_done();
		return target_result(NULL);
	}
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	for (int i = 0; i < CROWD; i++)
		pthread_create(&thread, &small, rest, NULL);
	pthread_create(&thread, &small, go_round, rounds);
	rest(NULL);
	return 1;
}

static void *busy(void *arg)
{
	for (;;)
		free(first_alloc(100));
	return arg;
}

static void *fork_on(void *arg)
{
	for (;;)
		if (fork() == 0) {
			usleep(1000);
			_exit(0);
		}
	return arg;
}

static int forks(char *rounds)
{
	enum { FORKING = 2, BUSY = 3 };
	pthread_t thread;
	char left[20];

	signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
	if (!atoi(rounds)) {
		target_done();
		return target_result(NULL);
	}
	for (int i = 0; i < BUSY; i++)
		pthread_create(&thread, NULL, busy, NULL);
	for (int i = 0; i < FORKING; i++)
		pthread_create(&thread, NULL, fork_on, NULL);
	usleep(5000 + atoi(rounds) * 7919 % 5000);
	snprintf(left, sizeof(left), "%d", atoi(rounds) - 1);
	execl(self, self, "forks", left, "again", NULL);
	return 1;
}

static void caught(int signo)
{
	(void)signo;
}

static void *change(void *arg)
{
	static const int signals[] = {SIGURG, SIGWINCH, SIGCHLD};
	struct sigaction action = {.sa_handler = SIG_DFL};

	for (unsigned i = 0;; i++) {
		action.sa_handler = i % 2 ? SIG_DFL : caught;
		sigaction(signals[i / 2 % 3], &action, NULL);
		if (i == 20 && atoi(arg) % 3 == 0)
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		free(first_alloc(100));
	}
	return arg;
}

static int pending(char *rounds)
{
	pthread_t thread;
	char left[20];

	if (!atoi(rounds)) {
		for (int i = 0; i < 50; i++)
			drop(second_alloc(30), 30);
		target_done();
		return target_result(NULL);
	}
	pthread_create(&thread, NULL, change, rounds);
	usleep(2000 + atoi(rounds) * 7919 % 5000);
	snprintf(left, sizeof(left), "%d", atoi(rounds) - 1);
	execl(self, self, "pending", left, "again", NULL);
	return 1;
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 2 && !strcmp(argv[1], "pending")) {
		if (argc == 3)
			target_ready();
		return pending(argv[2]);
	}
	if (argc > 2 && !strcmp(argv[1], "forks")) {
		if (argc == 3)
			target_ready();
		return forks(argv[2]);
	}
	if (argc > 2 && !strcmp(argv[1], "crowd")) {
		if (argc == 3)
			target_ready();
		return crowd(argv[2]);
	}
	if (argc > 1 && !strcmp(argv[1], "second")) {
		for (int i = 0; i < 50; i++)
			drop(second_alloc(30), 30);
		target_kept[0] = second_alloc(500);
		target_done();
		return target_result(NULL);
	}
	target_ready();
	for (int i = 0; i < 20; i++)
		target_kept[0] = first_alloc(1000);
	if (argc > 1 && !strcmp(argv[1], "fault")) {
		race();
	} else if (argc > 1) {
		pthread_t thread;
		pthread_create(&thread, NULL, become, NULL);
		pthread_join(thread, NULL);
	} else {
		become(NULL);
	}
	target_fail("exec: %s", strerror(errno));
	return target_result(NULL);
}
