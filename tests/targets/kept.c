/*
 * kept wait|read|thread: a program that blocks all signals and takes those that it is sent
 * when it likes, while all its threads allocate.
 *
 *   wait     a thread waits for them with sigwaitinfo(); they are sent to the process
 *   read     it reads them from a signalfd
 *   thread   each is sent to one of the threads that allocate, which looks for it with
 *            sigtimedwait() now and then
 *
 * SIGURG, SIGWINCH and SIGCHLD, ROUNDS of each, the next when the one before was accepted;
 * by kill() and by sigqueue() in turn, with their sender and value.
 *
 * RESULT's "merged": two signals of one number that wait for one thread are one
 * (signal(7)): one that somebody else sends this thread at the same time takes its place.
 * It will not come any more when the thread has looked LOOKS times since it was sent.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "target.h"

enum { ROUNDS = 300, ALLOCATING = 2, LIMIT_MS = 30000, LOOKS = 100 };

static const int signals[] = {SIGURG, SIGWINCH, SIGCHLD};
static volatile unsigned long accepted, looks[ALLOCATING];
static volatile int stop, value, signo;
static sigset_t all;
static int fd = -1;
static pthread_barrier_t gate;

static void accept_one(int number, int code, int sender, int with)
{
	if (number != signo || sender != getpid() || (code == SI_QUEUE && with != value))
		target_fail("signal %d of %d, value %d", number, sender, with);
	ADD(accepted, 1);
}

static void look(const struct timespec *limit)
{
	siginfo_t info;

	if (sigtimedwait(&all, &info, limit) > 0)
		accept_one(info.si_signo, info.si_code, info.si_pid, info.si_value.sival_int);
}

NOINLINE static void *allocating(void *arg)
{
	uint32_t seed = 3;

	pthread_barrier_wait(&gate);
	while (!stop) {
		for (int i = 0; i < 20; i++) {
			size_t size = dice(&seed) % 300;
			drop(got(malloc(size), size), size);
		}
		if (arg) {
			look(&(struct timespec){0, 0});
			ADD(*(volatile unsigned long *)arg, 1);
		}
	}
	return NULL;
}

static void *waiting(void *arg)
{
	while (!stop) {
		struct signalfd_siginfo info;

		if (fd < 0)
			look(&(struct timespec){0, 20000000});
		else if (read(fd, &info, sizeof(info)) == sizeof(info) && !stop)
			accept_one((int)info.ssi_signo, info.ssi_code, (int)info.ssi_pid,
				   info.ssi_int);
	}
	return arg;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "wait";
	int to_thread = !strcmp(mode, "thread");
	unsigned long sent = 0, merged = 0;
	pthread_t threads[ALLOCATING], waiter;

	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	if (!strcmp(mode, "read"))
		fd = signalfd(-1, &all, SFD_CLOEXEC);
	pthread_barrier_init(&gate, NULL, ALLOCATING + 1);
	for (long i = 0; i < ALLOCATING; i++)
		pthread_create(&threads[i], NULL, allocating,
			       to_thread ? (void *)&looks[i] : NULL);
	if (!to_thread)
		pthread_create(&waiter, NULL, waiting, NULL);
	target_ready();
	pthread_barrier_wait(&gate);
	for (int i = 0; i < ROUNDS * 3 && !strcmp(target_verdict, "ok"); i++) {
		unsigned long before = READ(accepted);
		int64_t end = now_ns() + LIMIT_MS * 1000000ll;
		volatile unsigned long *looked = &looks[i % ALLOCATING];

		signo = signals[i % 3];
		value = i;
		sent++;
		if (to_thread)
			pthread_kill(threads[i % ALLOCATING], signo);
		else if (i % 2)
			kill(getpid(), signo);
		else
			sigqueue(getpid(), signo, (union sigval){.sival_int = i});
		unsigned long upto = READ(*looked) + LOOKS;
		while (READ(accepted) == before && now_ns() < end &&
		       (!to_thread || READ(*looked) < upto))
			sched_yield();
		int over = to_thread && READ(*looked) >= upto;
		merged += over && READ(accepted) == before;
		if (!over && READ(accepted) == before)
			target_fail("signal %d, of %lu the last, was lost", signo, sent);
	}
	stop = 1;
	if (fd >= 0)
		kill(getpid(), SIGURG); /* wakes who reads */
	for (int i = 0; i < ALLOCATING; i++)
		pthread_join(threads[i], NULL);
	if (!to_thread)
		pthread_join(waiter, NULL);
	target_done();
	char more[120];
	snprintf(more, sizeof(more), ", \"sent\": %lu, \"accepted\": %lu, \"merged\": %lu",
		 sent, accepted, merged);
	return target_result(more);
}
