/*
 * sandboxed errno|kill: a program behind a seccomp filter that forbids sending signals
 * (tkill, tgkill, kill): by an error, or by death.  It allocates in two threads and
 * must live whatever watches it.
 */
#include <pthread.h>

#include "filter.h"

static pthread_barrier_t gate;

NOINLINE static void *work(void *arg)
{
	uint32_t seed = 1 + (uintptr_t)arg;
	pthread_barrier_wait(&gate);
	for (int i = 0; i < 500; i++) {
		size_t size = dice(&seed) % 400;
		drop(got(malloc(size), size), size);
	}
	target_kept[(uintptr_t)arg] = got(malloc(777), 777);
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	return NULL;
}

int main(int argc, char **argv)
{
	forbid_signals(argc > 1 && !strcmp(argv[1], "kill") ? SECCOMP_RET_KILL_PROCESS
							    : SECCOMP_RET_ERRNO | EPERM);
	pthread_t threads[2];
	pthread_barrier_init(&gate, NULL, 3);
	for (intptr_t i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	target_ready();
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	target_done();
	pthread_barrier_wait(&gate);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return target_result(NULL);
}
