/* Eight threads that allocate, reallocate and free without rest, small and mapped blocks; says "ready" when
 * each has all of its own. */
#include <pthread.h>

#include "target.h"

enum { THREADS = 8, BLOCKS = 2000 };

static void *churn(void *arg)
{
	static __thread void *blocks[BLOCKS];
	static unsigned full;
	unsigned seed = (unsigned)(uintptr_t)arg * 7919 + 1;

	for (unsigned round = 0;; round++) {
		unsigned i, kind, size;

		seed = seed * 1103515245 + 12345;
		i = round < BLOCKS ? round : (seed >> 8) % BLOCKS;
		kind = (seed >> 20) % 64;
		size = kind == 0 ? 200000 + seed % 100000 : (seed >> 10) % 2000 + 1;
		free(blocks[i]);
		blocks[i] = malloc(size);
		if (blocks[i])
			memset(blocks[i], 1, size < 64 ? size : 64);
		if (kind % 16 == 1)
			blocks[i] = realloc(blocks[i], size * 2);
		if (round == 2 * BLOCKS && __atomic_add_fetch(&full, 1, __ATOMIC_RELAXED) == THREADS)
			say("ready\n");
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;

	for (uintptr_t i = THREADS; i-- > 0;)
		if (pthread_create(&thread, NULL, churn, (void *)i))
			return 1;
	await_test();
	return 0;
}
