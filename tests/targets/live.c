/*
 * live BLOCKS CONTEXTS: BLOCKS live blocks of 24 bytes from CONTEXTS distinct call
 * stacks (a path of left and right calls, one bit of the number each).
 */
#include "target.h"

static volatile unsigned long sink;

NOINLINE static void *live_left(unsigned path, int bits);

NOINLINE static void *live_right(unsigned path, int bits)
{
	void *block = bits ? (path & 1 ? live_right : live_left)(path >> 1, bits - 1)
			   : got(malloc(24), 24);
	sink += 1;
	return block;
}

NOINLINE static void *live_left(unsigned path, int bits)
{
	void *block = bits ? (path & 1 ? live_right : live_left)(path >> 1, bits - 1)
			   : got(malloc(24), 24);
	sink += 2;
	return block;
}

int main(int argc, char **argv)
{
	unsigned long blocks = argc > 1 ? atol(argv[1]) : 1000;
	unsigned contexts = argc > 2 ? atoi(argv[2]) : 64;
	int bits = 0;
	while (1u << bits < contexts)
		bits++;
	target_ready();
	for (unsigned long i = 0; i < blocks; i++)
		sink += (unsigned long)live_left(i % contexts, bits);
	target_done();
	char more[60];
	snprintf(more, sizeof(more), ", \"contexts\": %lu",
		 blocks < contexts ? blocks : contexts);
	return target_result(more);
}
