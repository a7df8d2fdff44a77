/*
 * Maps memory in every way that there is, by functions whose names tell which, and says what
 * of each is there at the end: "MAPPED name pieces pages".
 */
#include <pthread.h>
#include <sys/mman.h>

#include "target.h"

static size_t page;

static char *must(void *at)
{
	if (at == MAP_FAILED)
		target_fail("mmap");
	return at;
}

NOINLINE char *by_whole(size_t pages)
{
	char *at = must(mmap(NULL, pages * page, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	at[0] = 1;
	return at;
}

NOINLINE char *by_odd(void) /* not whole pages: 3 */
{
	char *at = must(mmap(NULL, 2 * page + 1, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	at[0] = 1;
	return at;
}

NOINLINE char *by_hole(void) /* 10 pages, 3 in the middle unmapped, and the last */
{
	char *at = must(mmap(NULL, 10 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	if (munmap(at + 4 * page, 3 * page) || munmap(at + 9 * page, 1))
		target_fail("munmap");
	return at;
}

NOINLINE void by_fixed(char *over)
{
	must(mmap(over, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

NOINLINE char *by_move(char *from, size_t old, size_t pages)
{
	char *at = must(mremap(from, old * page, pages * page, MREMAP_MAYMOVE));

	at[0] = 2;
	return at;
}

#ifdef __GLIBC__
#define BREAK "MAPPED by_break 1 3\n"
#else
#define BREAK "" /* musl's sbrk() moves nothing */
#endif

NOINLINE void by_break(void)
{
	if (!BREAK[0])
		return;
	if (sbrk(0) == (void *)-1 || sbrk((intptr_t)(5 * page)) == (void *)-1 ||
	    sbrk(-(intptr_t)(2 * page)) == (void *)-1)
		target_fail("sbrk");
}

/* What fails changes nothing. */
NOINLINE void fail(char *at)
{
	if (munmap(at + 1, page) != -1 || munmap(at, 0) != -1)
		target_fail("a munmap that is none");
	if (mremap(at, page, (size_t)-1 & ~(page - 1), 0) != MAP_FAILED)
		target_fail("a mremap that is none");
	if (mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		target_fail("a mmap that is none");
}

NOINLINE void *by_thread(void *arg)
{
	char **at = arg;

	for (int i = 0; i < 50; i++) {
		char *other = by_whole(2);

		if (munmap(other, 2 * page))
			target_fail("munmap");
	}
	*at = by_odd();
	return NULL;
}

static void threads(void)
{
	pthread_t threads[4];
	char *at[4];

	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, by_thread, &at[i]))
			target_fail("pthread_create");
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	char *before, *whole, *moved;

	page = (size_t)sysconf(_SC_PAGESIZE);
	before = by_whole(1);
	by_break(); /* (the heap is there) */
	target_ready();
	whole = by_whole(8);
	by_hole();
	by_fixed(whole + 3 * page); /* of 8 pages 3 and 3 are left */
	moved = by_whole(1);
	moved = by_move(moved, 1, 64);
	by_move(moved, 64, 16);
	fail(whole);
	by_break();
	if (munmap(before, page)) /* from before the attach */
		target_fail("munmap");
	drop(got(malloc(1 << 20), 1 << 20), 1 << 20); /* the allocator's own mmap and munmap */
	got(malloc(2 << 20), 2 << 20);
	got(malloc(3 << 20), 3 << 20);
	threads();
	say("MAPPED by_whole 2 6\nMAPPED by_hole 2 6\nMAPPED by_fixed 1 2\n"
	    "MAPPED by_move 1 16\nMAPPED by_odd 4 12\n" BREAK);
	target_done();
	return target_result(NULL);
}
