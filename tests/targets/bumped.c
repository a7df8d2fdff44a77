/*
 * bumped ROUNDS: calls the four functions of an allocator that is preloaded, and its
 * memalign, and looks at what it got.  With "hide" the allocator's code can only be
 * executed.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <sys/mman.h>

#include "target.h"

static void check(const unsigned char *block, int size, int byte)
{
	for (int i = 0; i < size; i++)
		if (block[i] != byte)
			target_fail("a block holds what was not written to it");
}

static void *filled(void *block, int size, int byte)
{
	return memset(got(block, size), byte, size);
}

NOINLINE static void round_of(int n)
{
	unsigned char *a = filled(malloc(100), 100, n), *b = filled(calloc(10, 9), 90, n + 1);
	unsigned char *c = filled(memalign(16, 80), 80, n + 2), *d;

	check(a, 100, n);
	check(b, 90, n + 1);
	d = realloc(a, 300);
	check(d, 100, n);
	gone(100);
	got(d, 300);
	check(c, 80, n + 2);
	drop(d, 300);
	drop(b, 90);
	drop(c, 80);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100;
	uintptr_t code = (uintptr_t)dlsym(RTLD_DEFAULT, "malloc") & ~4095ul;

	if (argc > 2 && mprotect((void *)code, 4096, PROT_EXEC))
		return 2;
	target_ready();
	for (int i = 0; i < rounds; i++)
		round_of(i % 100);
	target_done();
	for (int i = 0; i < rounds; i++)
		round_of(i % 100);
	return target_result(NULL);
}
