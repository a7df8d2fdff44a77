/*
 * Every entry point of libc's allocator, with what is easy to count wrongly: zero
 * sizes, free(NULL), realloc in all its meanings, calls that fail, mmapped blocks.
 */
#include <malloc.h>

#include "target.h"

static volatile size_t huge = PTRDIFF_MAX - 4096, half = SIZE_MAX / 2;

NOINLINE static void plain(void)
{
	drop(got(malloc(10), 10), 10);
	drop(got(malloc(0), 0), 0);
	drop(got(calloc(3, 7), 21), 21);
	drop(got(calloc(0, 5), 0), 0);
	drop(got(malloc(1 << 20), 1 << 20), 1 << 20);
	drop(got(strdup("twelve chars"), 13), 13);
	drop(got(strndup("twelve chars", 6), 7), 7);
	free(NULL);
}

NOINLINE static void *resized(void *block, size_t from, size_t to)
{
	void *next = realloc(block, to);
	if (next)
		gone(from);
	return got(next, to);
}

NOINLINE static void reallocs(void)
{
	char *block = got(realloc(NULL, 33), 33);
	block = resized(block, 33, 1000);
	block = resized(block, 1000, 24);
	block = resized(block, 24, 24);
	block = resized(block, 24, 300000); /* mmapped from here on: mremap */
	block = resized(block, 300000, 900000);
	block = resized(block, 900000, 40);
	if (realloc(block, huge))
		target_fail("realloc to nearly everything succeeded");
	if (block[0] != 1)
		target_fail("a failed realloc changed the block");
	gone(40); /* glibc: realloc to zero frees and returns NULL */
	if (realloc(block, 0))
		target_fail("realloc to zero returned memory");

	block = got(reallocarray(NULL, 4, 25), 100);
	void *next = reallocarray(block, 8, 25);
	gone(100);
	got(next, 200);
	void *volatile none = next;
	if (reallocarray(none, half, 4))
		target_fail("reallocarray overflowed");
	drop(next, 200);
	drop(got(realloc(NULL, 0), 0), 0);
}

NOINLINE static void aligned(void)
{
	void *block = NULL;
	if (posix_memalign(&block, 64, 100) || (uintptr_t)block % 64)
		target_fail("posix_memalign");
	drop(got(block, 100), 100);
	drop(got(aligned_alloc(128, 256), 256), 256);
	drop(got(memalign(32, 77), 77), 77);
	drop(got(memalign(8192, 5), 5), 5);
	drop(got(valloc(50), 50), 50);
	drop(got(pvalloc(60), 60), 60);
}

NOINLINE static void failures(void)
{
	void *block = &block, *before = block;
	if (malloc(huge) || calloc(half, 4) || calloc(1, huge) || memalign(64, huge) ||
	    aligned_alloc(64, huge) || valloc(huge) || pvalloc(huge) || realloc(NULL, huge))
		target_fail("an impossible allocation succeeded");
	if (posix_memalign(&block, 3, 100) != EINVAL ||
	    posix_memalign(&block, 64, huge) != ENOMEM)
		target_fail("posix_memalign returned another error");
	if (block != before)
		target_fail("a failed posix_memalign wrote its result");
}

/* What stays: 3 blocks, 1 + 20 + 300 bytes. */
NOINLINE static void leave(void)
{
	target_kept[0] = got(malloc(1), 1);
	target_kept[1] = got(calloc(2, 10), 20);
	void *block = NULL;
	if (posix_memalign(&block, 16, 300))
		target_fail("posix_memalign");
	target_kept[2] = got(block, 300);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 3;
	target_ready();
	for (int i = 0; i < rounds; i++) {
		plain();
		reallocs();
		aligned();
		failures();
	}
	leave();
	target_done();
	return target_result(NULL);
}
