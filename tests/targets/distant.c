/*
 * distant FILE...: loads each FILE (plugin_a.so) and allocates through it before READY.  Behind it
 * again, once by itself and once through the last file, ROUNDS times: nothing of it is needed
 * that is not in memory by then.
 */
#include <dlfcn.h>

#include "target.h"

enum { ROUNDS = 50 };

int main(int argc, char **argv)
{
	void *(*alloc)(size_t) = NULL;

	for (int i = 1; i < argc; i++) {
		void *handle = dlopen(argv[i], RTLD_NOW);

		alloc = handle ? dlsym(handle, "plugin_alloc") : NULL;
		if (!alloc)
			return 2;
		free(alloc(10));
	}
	target_ready();
	for (int i = 0; i < ROUNDS; i++) {
		void *own = got(malloc(20), 20), *its = got(alloc(30), 30);

		drop(own, 20);
		drop(its, 30);
	}
	target_done();
	return target_result(NULL);
}
