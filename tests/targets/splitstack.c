/*
 * Stacks in pieces: gcc -fsplit-stack calls __morestack where a function's frame does not
 * fit, which goes on on a new piece, at a higher or lower address, and comes back to the
 * old one.  ROUNDS leaks, each below DEPTH calls of 20 KB.
 */
#include <pthread.h>

#include "target.h"

enum { PIECE = 20000, SMALL = 64 * 1024 };

static int rounds, depth;

NOINLINE static void *down(int left)
{
	char big[PIECE];
	void *block;

	memset(big, left, sizeof(big));
	block = left ? down(left - 1) : got(malloc(1000), 1000);
	__asm__ volatile("" : : "r"(big) : "memory");
	return block;
}

NOINLINE static void *run(void *arg)
{
	for (int i = 0; i < rounds; i++)
		target_kept[i % 8] = down(depth);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t thread;

	rounds = argc > 1 ? atoi(argv[1]) : 10;
	depth = argc > 2 ? atoi(argv[2]) : 30;
	target_ready();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, SMALL);
	if (pthread_create(&thread, &attr, run, NULL) || pthread_join(thread, NULL))
		target_fail("no thread");
	target_done();
	return target_result(NULL);
}
