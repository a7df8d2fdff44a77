/*
 * dozing: its own malloc waits for a line of the test, small frames above it and a caller below
 * it whose frame pointer leads on.  DONE when it waits.
 */
#include "target.h"

enum { DOZES = 77, ROOM = 1 << 16 };

NOINLINE static void doze(void)
{
	char c;

	if (write(1, "DONE\n", 5) != 5)
		_exit(1);
	while (read(0, &c, 1) == 1 && c != '\n')
		;
}

NOINLINE void *malloc(size_t size)
{
	static _Alignas(16) char room[ROOM];
	static size_t used;
	char *block = room + used;

	if (size == DOZES)
		doze();
	used += (size + 15) & ~(size_t)15;
	return used <= ROOM ? block : NULL;
}

static void *volatile freed, *volatile freed_before;

void free(void *block)
{
	freed_before = freed; /* (long enough to be patched) */
	freed = block;
}

/* Its frame's size is known when it runs, so it has a frame pointer. */
__attribute__((noipa)) static void allocate(size_t size)
{
	char *volatile block;
	char there[size];

	__asm__ volatile("" : : "r"(there) : "memory");
	block = got(malloc(size), size);
	drop(block, size);
}

int main(void)
{
	target_ready();
	allocate(DOZES);
	return target_result(NULL);
}
