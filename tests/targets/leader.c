/*
 * leader: the first thread ends by pthread_exit; the others go on allocating, and the
 * last of them ends the process.
 */
#include <pthread.h>

#include "target.h"

static pthread_barrier_t gate;

NOINLINE static void *going_on(void *arg)
{
	pthread_barrier_wait(&gate);
	void *unused;
	pthread_join(*(pthread_t *)arg, &unused);
	for (int i = 0; i < 200; i++)
		drop(got(malloc(i), i), i);
	target_kept[0] = got(malloc(4321), 4321);
	target_done();
	_exit(target_result(NULL));
}

static void *ending(void *arg)
{
	pthread_exit(arg);
}

int main(void)
{
	static pthread_t self, thread;
	self = pthread_self();
	pthread_barrier_init(&gate, NULL, 2);
	pthread_create(&thread, NULL, ending, NULL); /* the first pthread_exit loads libgcc_s */
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, going_on, &self);
	target_ready();
	pthread_barrier_wait(&gate);
	pthread_exit(NULL);
}
