/*
 * deep: within an allocator of its own, below 2 MB of stack, it says DONE and waits for the
 * test.  Then it goes back, and out of the allocator.
 */
#include "target.h"

void *__libc_malloc(size_t size);

enum { DEEP = 2 << 20 };

static volatile int waits;

NOINLINE static void wait_deep(void)
{
	volatile char deep[DEEP];

	for (int i = 0; i < DEEP; i += 4096)
		deep[i] = 0;
	waits = deep[4096];
	target_done();
}

void *malloc(size_t size)
{
	void *block = __libc_malloc(size);
	if (waits)
		wait_deep();
	return block;
}

int main(void)
{
	target_ready();
	waits = 1;
	char *block = got(malloc(1000), 1000);
	memset(block, 1, 1000);
	drop(block, 1000);
	return target_result(NULL);
}
