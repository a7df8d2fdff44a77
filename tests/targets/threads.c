/*
 * threads N M: N threads, M allocations each, freed mostly by another thread than
 * the one that allocated; each thread leaves 8 blocks of 1000 bytes.  The threads
 * exist before READY and after DONE, so that nothing else allocates meanwhile.
 * Every second thread blocks all signals.
 */
#include <pthread.h>
#include <signal.h>

#include "target.h"

enum { POOL = 256, KEPT = 8, MOST = 1024 };

static struct {
	_Alignas(16) uintptr_t block; /* a pooled block, its size in its first word */
} pool[POOL];
static pthread_barrier_t gate;
static long per_thread;
static void *volatile kept[MOST * KEPT];

NOINLINE static void *pool_alloc(size_t size)
{
	size_t *block = got(malloc(size), size);
	if (block)
		*block = size;
	return block;
}

NOINLINE static void pool_free(void *block)
{
	drop(block, *(size_t *)block);
}

NOINLINE static void *work(void *arg)
{
	uintptr_t self = (uintptr_t)arg;
	uint32_t seed = 77 + self;
	sigset_t all, now;
	sigfillset(&all);
	if (self % 2)
		pthread_sigmask(SIG_SETMASK, &all, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &all);
	pthread_barrier_wait(&gate); /* all stand */
	pthread_barrier_wait(&gate); /* go */
	for (long i = 0; i < per_thread; i++) {
		void *block = pool_alloc(8 + dice(&seed) % 600);
		uintptr_t old = __atomic_exchange_n(&pool[dice(&seed) % POOL].block,
						   (uintptr_t)block, __ATOMIC_ACQ_REL);
		if (old)
			pool_free((void *)old);
	}
	for (int i = 0; i < KEPT; i++)
		kept[self * KEPT + i] = got(malloc(1000), 1000);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	for (int s = 1; s < 64; s++)
		if (sigismember(&now, s) != sigismember(&all, s))
			target_fail("signal %d changed in a thread's mask", s);
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	return NULL;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 4;
	per_thread = argc > 2 ? atol(argv[2]) : 1000;
	if (count < 1 || count > MOST)
		return 2;
	static pthread_t threads[MOST];
	pthread_barrier_init(&gate, NULL, count + 1);
	for (intptr_t i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	pthread_barrier_wait(&gate);
	target_ready();
	pthread_barrier_wait(&gate); /* go */
	pthread_barrier_wait(&gate); /* all have worked */
	for (int i = 0; i < POOL; i++)
		if (pool[i].block)
			pool_free((void *)pool[i].block);
	target_done();
	pthread_barrier_wait(&gate);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	return target_result(NULL);
}
