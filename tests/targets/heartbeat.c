/*
 * heartbeat THREADS [MODULES]: every thread allocates now and then and notes the
 * longest time between two beats.  A line from the test ends a phase; "end" the whole.
 * Each phase is answered by   GAP <microseconds> <total beats>
 * "stacks": leaves a block from each of 100 000 call stacks, and answers   STACKS
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>

#include "target.h"

enum { MOST = 1100 };

static volatile int stop;
static unsigned long beats, stacked;
static unsigned long longest; /* us: fits an atomic of any CPU */

NOINLINE static void beat(uint32_t *seed)
{
	size_t size = dice(seed) % 500;
	drop(got(malloc(size), size), size);
}

static void *beating(void *arg)
{
	uint32_t seed = 9 + (uintptr_t)arg;
	while (!stop) {
		/* many threads: seldom; what counts is the gap beyond it */
		struct timespec pause = {.tv_nsec = (intptr_t)arg};
		int64_t before = now_ns();
		nanosleep(&pause, NULL);
		beat(&seed);
		int64_t now = now_ns(), gap = now - before - pause.tv_nsec;
		ADD(beats, 1);
		unsigned long most = READ(longest), us = gap / 1000;
		while (us > most &&
		       !__atomic_compare_exchange_n(&longest, &most, us, 0, __ATOMIC_RELAXED,
						    __ATOMIC_RELAXED))
			;
	}
	return NULL;
}

enum { STACKS = 100000, STACK_BITS = 17 };

NOINLINE static void stack_left(unsigned path, int bits);

/* A path of left and right calls, one bit of its number each. */
NOINLINE static void stack_right(unsigned path, int bits)
{
	if (bits)
		(path & 1 ? stack_right : stack_left)(path >> 1, bits - 1);
	else
		got(malloc(24), 24);
	ADD(stacked, 1);
}

NOINLINE static void stack_left(unsigned path, int bits)
{
	if (bits)
		(path & 1 ? stack_right : stack_left)(path >> 1, bits - 1);
	else
		got(malloc(24), 24);
	ADD(stacked, 2);
}

static void stacks_make(void)
{
	for (unsigned i = 0; i < STACKS; i++)
		stack_left(i, STACK_BITS);
	say("STACKS\n");
}

static int read_line(char *line, int size)
{
	int len = 0;
	while (len < size - 1) {
		char c;
		ssize_t n = read(0, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		if (c == '\n')
			break;
		line[len++] = c;
	}
	line[len] = 0;
	return 1;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1;
	if (count < 1 || count > MOST)
		return 2;
	for (int i = 2; i < argc; i++)
		if (!dlopen(argv[i], RTLD_NOW))
			target_fail("dlopen: %s", dlerror());
	static pthread_t threads[MOST];
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	intptr_t pause = count * 300000l; /* three thousand beats a second */
	for (int i = 0; i < count; i++)
		pthread_create(&threads[i], &attr, beating, (void *)pause);
	say("READY %d\n", getpid());
	char line[64];
	while (read_line(line, sizeof(line)) && strcmp(line, "end"))
		if (!strcmp(line, "stacks"))
			stacks_make();
		else
			say("GAP %d %lu\n",
			    (int)__atomic_exchange_n(&longest, 0, __ATOMIC_RELAXED),
			    READ(beats));
	stop = 1;
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	return target_result(NULL);
}
