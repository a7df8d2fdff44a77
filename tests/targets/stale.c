/*
 * Waits with a hole in its frame where the frames of a malloc were, of which words are left
 * that look like return addresses.  DONE when it waits.
 */
#include "target.h"

enum { HOLE = 256 };

NOINLINE static void wait_over_a_hole(void)
{
	char hole[HOLE], c;

	__asm__ volatile("" : : "r"(hole) : "memory");
	if (write(1, "DONE\n", 5) != 5)
		_exit(1);
	while (read(0, &c, 1) == 1 && c != '\n')
		;
}

NOINLINE static void allocate(void)
{
	char *volatile block = got(malloc(100), 100);

	drop(block, 100);
}

int main(void)
{
	target_ready();
	for (int i = 0; i < 10; i++)
		allocate();
	wait_over_a_hole();
	return target_result(NULL);
}
