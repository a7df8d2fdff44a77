/*
 * Built with LeakSanitizer, and without a leak: its status is 0.  With a leak, if there is an
 * argument: then it is 23, where it may look.
 */
#include "target.h"

NOINLINE static void leak(void)
{
	void *block = got(malloc(100), 100);

	__asm__ volatile("" : : "r"(block) : "memory");
}

int main(int argc, char **argv)
{
	(void)argv;
	target_kept[0] = got(malloc(1000), 1000);
	target_ready();
	if (argc > 1)
		for (int i = 0; i < 50; i++)
			leak();
	target_done();
	return target_result(NULL);
}
