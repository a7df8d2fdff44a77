/*
 * distant FILE: loads FILE (plugin_a.so) and allocates through it before READY.  Behind it
 * again, once by itself and once through the file, ROUNDS times: nothing of the file is needed
 * that is not in memory by then.
 */
#include <dlfcn.h>

#include "target.h"

enum { ROUNDS = 50 };

int main(int argc, char **argv)
{
	void *handle = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
	void *(*alloc)(size_t) = handle ? dlsym(handle, "plugin_alloc") : NULL;

	if (!alloc)
		return 2;
	free(alloc(10));
	target_ready();
	for (int i = 0; i < ROUNDS; i++) {
		void *own = got(malloc(20), 20), *its = got(alloc(30), 30);

		drop(own, 20);
		drop(its, 30);
	}
	target_done();
	return target_result(NULL);
}
