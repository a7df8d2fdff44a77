/*
 * debugged HOW ROUNDS: asks libc_malloc_debug.so, which is preloaded, for a layer around the
 * allocator: mcheck puts a header before each block, mtrace writes each call to a file.
 */
#include <malloc.h>
#include <mcheck.h>

#include "target.h"

NOINLINE static void round_of(unsigned i)
{
	void *a = got(malloc(10 + i), 10 + i), *b = got(calloc(i + 1, 7), (i + 1) * 7), *c;

	gone(10 + i);
	a = got(realloc(a, 1000 + i), 1000 + i);
	c = got(memalign(256, 77), 77);
	target_kept[0] = got(malloc(3), 3);
	drop(b, (i + 1) * 7);
	drop(a, 1000 + i);
	drop(c, 77);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 1;

	if (argc > 1 && !strcmp(argv[1], "mcheck") && mcheck(NULL))
		target_fail("mcheck() says no");
	if (argc > 1 && !strcmp(argv[1], "mtrace"))
		mtrace();
	target_ready();
	for (unsigned i = 0; i < rounds; i++)
		round_of(i);
	target_done();
	return target_result(NULL);
}
