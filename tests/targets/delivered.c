/*
 * delivered MODE: a signal is sent, its arrival awaited, and the next one sent, over and
 * over, while two threads allocate.  A line from the test ends it: none may be lost,
 * whatever was done to it meanwhile.
 *
 *   setuid   glibc's setuid(), which sends SIGSETXID to every thread and waits for all
 *   rt       real-time signals with values, queued, to one thread and to the process
 *   child    SIGCHLD
 *   timer    a timer that is armed anew when it has gone off
 *   usr      one thread's pthread_kill() to another
 *
 * "lost" counts what did not arrive within LOST_MS; setuid() has no such limit.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "target.h"

enum { LOST_MS = 30000, AHEAD = 8, IDLE = 3 };

static volatile int stop;
static unsigned long sent, seen, lost, wrong;
static pthread_t receiver;
static timer_t timer;

static void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)context;
	/* Queued signals come in order: each of them, and once. */
	if (signo == SIGRTMIN + 1 && (unsigned long)info->si_value.sival_int != seen + 1) {
		ADD(wrong, 1);
		__atomic_store_n(&seen, info->si_value.sival_int, __ATOMIC_RELAXED);
		return;
	}
	ADD(seen, 1);
}

static void *allocating(void *arg)
{
	uint32_t seed = (uintptr_t)arg;

	while (!stop) {
		size_t size = dice(&seed) % 300;
		drop(got(malloc(size), size), size);
		if (seed % 16 == 0) {
			struct timespec rest = {.tv_nsec = 200000};
			nanosleep(&rest, NULL);
		}
	}
	return arg;
}

static void *idle(void *arg)
{
	while (!stop) {
		struct timespec rest = {.tv_nsec = 5000000};
		nanosleep(&rest, NULL);
	}
	return arg;
}

static void by_setuid(void)
{
	if (setuid(getuid()))
		target_fail("setuid: %s", strerror(errno));
	ADD(seen, 1);
}

static void by_rt(void)
{
	union sigval value = {.sival_int = (int)sent + 1};

	if (pthread_sigqueue(receiver, SIGRTMIN + 1, value))
		target_fail("pthread_sigqueue: %s", strerror(errno));
}

static void by_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(11);
}

static void by_timer(void)
{
	struct itimerspec once = {.it_value.tv_nsec = 100000};

	timer_settime(timer, 0, &once, NULL);
}

static void by_usr(void)
{
	pthread_kill(receiver, SIGUSR1);
}

/* At most `ahead` are on their way; who never comes is lost. */
static void await_arrival(unsigned long ahead)
{
	int64_t end = now_ns() + LOST_MS * 1000000ll;

	while (READ(seen) + ahead < sent && now_ns() < end)
		sched_yield();
	if (READ(seen) + ahead < sent) {
		lost += sent - READ(seen);
		__atomic_store_n(&seen, sent, __ATOMIC_RELAXED);
	}
}

static const struct mode {
	const char *name;
	int ahead;
	void (*send)(void);
} modes[] = {
	{"setuid", 0, by_setuid}, {"rt", AHEAD, by_rt},	  {"child", 0, by_child},
	{"timer", 0, by_timer},	  {"usr", 0, by_usr},
};

static void *sending(void *arg)
{
	const struct mode *mode = arg;

	while (!stop) {
		struct timespec rest = {.tv_nsec = 200000};

		mode->send();
		sent++;
		await_arrival((unsigned long)mode->ahead);
		while (mode->send == by_child && waitpid(-1, NULL, 0) < 0 && errno == EINTR)
			;
		nanosleep(&rest, NULL);
	}
	await_arrival(0);
	return NULL;
}

static const struct mode *mode_of(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (!strcmp(modes[i].name, name))
			return &modes[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct mode *mode = argc > 1 ? mode_of(argv[1]) : NULL;
	struct sigaction action = {.sa_sigaction = on_signal,
				   .sa_flags = SA_RESTART | SA_SIGINFO};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	pthread_t threads[3 + IDLE], sender;
	char more[100];

	if (!mode)
		return 2;
	sigaction(SIGRTMIN + 1, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	if (mode->send == by_child)
		sigaction(SIGCHLD, &action, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	for (intptr_t i = 0; i < 3 + IDLE; i++)
		pthread_create(&threads[i], NULL, i < 3 ? allocating : idle, (void *)(i + 1));
	receiver = threads[0];
	pthread_create(&sender, NULL, sending, (void *)mode);
	while (!READ(seen))
		sched_yield();
	target_ready();
	stop = 1;
	pthread_join(sender, NULL);
	for (int i = 0; i < 3 + IDLE; i++)
		pthread_join(threads[i], NULL);
	snprintf(more, sizeof(more), ", \"sent\": %lu, \"lost\": %lu, \"wrong\": %lu", sent,
		 lost, wrong);
	return target_result(more);
}
