/*
 * wakeups mask|cont: a thread waits in epoll_pwait(), and another process, which nobody
 * traces, sends it signals all the while; it begins before READY and ends when the test
 * says stop.
 *
 *   mask   SIGUSR1, which is blocked but in the call: when its handler has run the call
 *          must have ended with EINTR, as that is what the mask is for
 *   cont   SIGCONT, which has no effect on a process that is not stopped: no call ends
 *
 * RESULT's "lost": handlers that ran in a call that went on; "for_nothing": calls that
 * ended with EINTR though no handler had run; "sent": signals.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "target.h"

enum { LIMIT_MS = 200, PAUSE_NS = 300000 };

/* A stop ends the call with EINTR on ARM and AArch64 (ARCHITECTURE.md). */
#if defined(__x86_64__) || defined(__mips__)
enum { STOPS_ARE_HIDDEN = 1 };
#else
enum { STOPS_ARE_HIDDEN = 0 };
#endif

static struct shared { /* with the sender */
	volatile unsigned long sent, handled;
	volatile int stop;
} * shared;
static unsigned long lost, for_nothing;

static void on_signal(int signo)
{
	(void)signo;
	ADD(shared->handled, 1);
}

static void rest(int64_t ns)
{
	for (int64_t end = now_ns() + ns; now_ns() < end;)
		;
}

static void send_all(pid_t pid, int signo)
{
	uint32_t seed = 7;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!READ(shared->stop)) {
		ADD(shared->sent, 1);
		if (kill(pid, signo))
			_exit(1);
		rest(dice(&seed) % PAUSE_NS);
		while (signo == SIGUSR1 && READ(shared->handled) < READ(shared->sent) &&
		       !READ(shared->stop))
			sched_yield();
	}
	_exit(0);
}

static void *waiting(void *arg)
{
	int epoll = epoll_create1(0);
	struct epoll_event event;
	sigset_t none;

	sigemptyset(&none);
	while (!READ(shared->stop)) {
		unsigned long before = READ(shared->handled);
		int rc = epoll_pwait(epoll, &event, 1, LIMIT_MS, &none);
		unsigned long runs = READ(shared->handled) - before;

		/* The handler's end blocks the signal again: one run ends the call. */
		if (rc == 0)
			lost += runs;
		else if (rc < 0 && errno == EINTR && runs)
			lost += runs - 1;
		else if (rc < 0 && errno == EINTR)
			for_nothing++;
		else
			target_fail("epoll_pwait: %d, %s", rc, strerror(errno));
	}
	return arg;
}

int main(int argc, char **argv)
{
	int signo = argc > 1 && !strcmp(argv[1], "cont") ? SIGCONT : SIGUSR1, status;
	struct sigaction action = {.sa_handler = on_signal};
	pthread_t thread;
	sigset_t blocked;
	pid_t sender, self = getpid();

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	pthread_create(&thread, NULL, waiting, NULL);
	sender = fork();
	if (sender == 0)
		send_all(self, signo);
	target_ready();
	shared->stop = 1;
	pthread_join(thread, NULL);
	if (waitpid(sender, &status, 0) != sender || status)
		target_fail("the sender ended badly");
	char more[120];
	snprintf(more, sizeof(more), ", \"sent\": %lu, \"lost\": %lu, \"for_nothing\": %lu",
		 shared->sent, lost, STOPS_ARE_HIDDEN ? for_nothing : 0);
	return target_result(more);
}
