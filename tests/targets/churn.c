/*
 * churn WAVES WIDTH: threads that come, allocate a little and go, joined and
 * detached ones by turns.  What churn_alloc() does is exactly known; beside it
 * stands what pthread_create itself allocates.
 */
#include <pthread.h>
#include <semaphore.h>

#include "target.h"

enum { EACH = 5, MOST = 64 };

static sem_t finished;

NOINLINE static void *churn_alloc(size_t size)
{
	return got(malloc(size), size);
}

static void *brief(void *arg)
{
	void *blocks[EACH];
	for (int i = 0; i < EACH; i++)
		blocks[i] = churn_alloc(16 + i);
	for (int i = 0; i < EACH; i++)
		drop(blocks[i], 16 + i);
	if (arg)
		sem_post(&finished);
	return NULL;
}

int main(int argc, char **argv)
{
	int waves = argc > 1 ? atoi(argv[1]) : 20, width = argc > 2 ? atoi(argv[2]) : 8;
	if (width > MOST)
		return 2;
	sem_init(&finished, 0, 0);
	pthread_attr_t alone;
	pthread_attr_init(&alone);
	pthread_attr_setdetachstate(&alone, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&alone, 64 * 1024);
	target_ready();
	for (int w = 0; w < waves; w++) {
		pthread_t threads[MOST];
		int detached = w % 2;
		for (int i = 0; i < width; i++) {
			int rc = pthread_create(&threads[i], detached ? &alone : NULL, brief,
						detached ? &finished : NULL);
			if (rc)
				target_fail("pthread_create: %s", strerror(rc));
		}
		for (int i = 0; i < width; i++) {
			if (detached)
				while (sem_wait(&finished) && errno == EINTR)
					target_fail("sem_wait was interrupted");
			else
				pthread_join(threads[i], NULL);
		}
		target_kept[0] = churn_alloc(100);
	}
	target_done();
	return target_result(NULL);
}
