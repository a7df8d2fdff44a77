/*
 * Threads that map, move and unmap memory all the while, and look whether what they wrote is there,
 * until the test says a line.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "target.h"

enum { THREADS = 4, PIECES = 8 };

static int ended;
static unsigned long rounds;

static int is_there(const unsigned char *at, size_t len, unsigned char what)
{
	return at[0] == what && at[len / 2] == what && at[len - 1] == what;
}

static void *storm(void *arg)
{
	unsigned char *pieces[PIECES] = {NULL}, mark = (unsigned char)(uintptr_t)arg;
	size_t lens[PIECES] = {0}, page = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t state = mark;

	while (!READ(ended)) {
		unsigned i = dice(&state) % PIECES;
		size_t len = (dice(&state) % 16 + 1) * page;
		unsigned char *at;

		if (pieces[i] && !is_there(pieces[i], lens[i], mark))
			target_fail("what was written is not there");
		if (!pieces[i])
			at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);
		else if (dice(&state) % 2)
			at = mremap(pieces[i], lens[i], len, MREMAP_MAYMOVE);
		else
			at = munmap(pieces[i], lens[i]) ? MAP_FAILED : NULL;
		if (at == MAP_FAILED) {
			target_fail("a call failed: %d", errno);
			break;
		}
		pieces[i] = at;
		lens[i] = len;
		if (at)
			memset(at, mark, len);
		ADD(rounds, 1);
	}
	for (unsigned i = 0; i < PIECES; i++)
		if (pieces[i] && munmap(pieces[i], lens[i]))
			target_fail("munmap");
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	char more[64];

	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, storm, (void *)(i + 1)))
			target_fail("pthread_create");
	target_ready();
	__atomic_store_n(&ended, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	snprintf(more, sizeof(more), ", \"rounds\": %lu", READ(rounds));
	return target_result(more);
}
