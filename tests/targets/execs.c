/*
 * execs [thread]: allocates, then becomes another program (itself with "second"),
 * from the main thread or from another one.  The second program's tally is what
 * counts in the end: statistics begin anew with an exec.
 */
#include <pthread.h>

#include "target.h"

static char *self;

NOINLINE static void *first_alloc(size_t size)
{
	return malloc(size);
}

NOINLINE static void *second_alloc(size_t size)
{
	return got(malloc(size), size);
}

static void *become(void *arg)
{
	execl(self, self, "second", NULL);
	return arg;
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1 && !strcmp(argv[1], "second")) {
		for (int i = 0; i < 50; i++)
			drop(second_alloc(30), 30);
		target_kept[0] = second_alloc(500);
		target_done();
		return target_result(NULL);
	}
	target_ready();
	for (int i = 0; i < 20; i++)
		target_kept[0] = first_alloc(1000);
	if (argc > 1) {
		pthread_t thread;
		pthread_create(&thread, NULL, become, NULL);
		pthread_join(thread, NULL);
	} else {
		become(NULL);
	}
	target_fail("exec: %s", strerror(errno));
	return target_result(NULL);
}
