/*
 * Ways out of a call other than return: siglongjmp out of a handler, longjmp out of
 * functions that never return and out of qsort's callback, threads cancelled in a
 * blocking call and in the middle of a computation, with cleanup handlers that free.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#include "target.h"

static sigjmp_buf from_handler;
static jmp_buf from_depth;

static void on_alarm(int signo)
{
	drop(got(malloc(40 + signo), 40 + signo), 40 + signo);
	siglongjmp(from_handler, 1);
}

/* The handler interrupts a loop that does not allocate, so it may. */
NOINLINE static void out_of_handler(int times)
{
	struct sigaction action = {.sa_handler = on_alarm};
	sigaction(SIGALRM, &action, NULL);
	volatile int jumps = 0;
	while (jumps < times) {
		if (sigsetjmp(from_handler, 1)) {
			jumps++;
			drop(got(malloc(17), 17), 17);
			continue;
		}
		struct itimerval once = {.it_value.tv_usec = 300};
		setitimer(ITIMER_REAL, &once, NULL);
		for (volatile unsigned long i = 0;; i++)
			;
	}
}

__attribute__((noinline, noreturn)) static void throw_up(int depth, void *block)
{
	drop(got(malloc(60 + depth), 60 + depth), 60 + depth);
	if (depth == 0) {
		drop(block, 500);
		longjmp(from_depth, 1);
	}
	throw_up(depth - 1, block);
}

NOINLINE static void out_of_depth(int times)
{
	for (volatile int i = 0; i < times; i++)
		if (!setjmp(from_depth))
			throw_up(i % 10, got(malloc(500), 500));
}

static int compare(const void *a, const void *b)
{
	static int calls;
	drop(got(malloc(8), 8), 8);
	if (++calls % 10 == 0)
		longjmp(from_depth, 1);
	return *(const int *)a - *(const int *)b;
}

/* Few elements: qsort takes its room from the stack, so nothing is left behind. */
NOINLINE static void out_of_qsort(int times)
{
	for (volatile int i = 0; i < times; i++) {
		int values[20];
		for (int k = 0; k < 20; k++)
			values[k] = (k * 7919) % 31;
		if (!setjmp(from_depth))
			qsort(values, 20, sizeof(*values), compare);
	}
}

static void cleanup(void *block)
{
	drop(block, 300);
}

static pthread_barrier_t gate;

NOINLINE static void *blocked(void *arg)
{
	int *ends = arg;
	char c;
	void *block = got(malloc(300), 300);
	pthread_cleanup_push(cleanup, block);
	pthread_barrier_wait(&gate);
	if (read(ends[0], &c, 1) != 0)
		target_fail("a read that should be cancelled came back");
	pthread_cleanup_pop(0);
	return NULL;
}

NOINLINE static void *busy(void *arg)
{
	void *block = got(malloc(300), 300);
	pthread_cleanup_push(cleanup, block);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	pthread_barrier_wait(&gate);
	for (volatile unsigned long i = 0;; i++)
		;
	pthread_cleanup_pop(0);
	return arg;
}

/* Two threads at a time; their stacks were made before READY and come from the cache. */
NOINLINE static void cancelled(int times)
{
	int ends[2];
	if (pipe(ends))
		target_fail("pipe: %s", strerror(errno));
	for (int i = 0; i < times; i++) {
		pthread_t threads[2];
		pthread_create(&threads[0], NULL, blocked, ends);
		pthread_create(&threads[1], NULL, busy, NULL);
		pthread_barrier_wait(&gate);
		for (int t = 0; t < 2; t++) {
			void *result = NULL;
			pthread_cancel(threads[t]);
			pthread_join(threads[t], &result);
			if (result != PTHREAD_CANCELED)
				target_fail("a cancelled thread returned %p", result);
		}
	}
	close(ends[0]);
	close(ends[1]);
}

int main(int argc, char **argv)
{
	int times = argc > 1 ? atoi(argv[1]) : 30;
	pthread_barrier_init(&gate, NULL, 3);
	cancelled(1); /* loads libgcc_s, fills the cache of stacks */
	tally_allocs = tally_frees = tally_bytes = tally_freed = 0;
	target_ready();
	out_of_handler(times);
	out_of_depth(times);
	out_of_qsort(times);
	cancelled(times);
	target_done();
	return target_result(NULL);
}
