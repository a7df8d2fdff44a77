/*
 * plugins DIR ROUNDS [apart]: loads plugin_a.so and plugin_b.so of DIR by turns, so that
 * they reuse each other's addresses; each allocates 4 blocks a round, one of which
 * stays.  The sizes tell them apart: 100 + for a, 200 + for b.  Beside the tally
 * stands what the loader allocates for itself.  apart: none comes to lie where one was before.
 */
#include <dlfcn.h>
#include <sys/mman.h>

#include "target.h"

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	int rounds = argc > 2 ? atoi(argv[2]) : 6, reused = 0;
	void *last = NULL;
	target_ready();
	for (int r = 0; r < rounds; r++) {
		char path[4096];
		int size = r % 2 ? 200 : 100;
		snprintf(path, sizeof(path), "%s/plugin_%c.so", argv[1], r % 2 ? 'b' : 'a');
		void *handle = dlopen(path, RTLD_NOW);
		void *(*alloc)(size_t) = handle ? dlsym(handle, "plugin_alloc") : NULL;
		if (!alloc) {
			target_fail("dlopen: %s", dlerror());
			break;
		}
		reused += (void *)alloc == last;
		last = (void *)alloc;
		void *blocks[4];
		for (int i = 0; i < 4; i++)
			blocks[i] = got(alloc(size + i), size + i);
		for (int i = 0; i < 3; i++)
			drop(blocks[i], size + i);
		dlclose(handle);
		if (argc > 3) /* takes its place */
			mmap((void *)((uintptr_t)alloc & ~4095ul), 4096, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	}
	target_done();
	char more[40];
	snprintf(more, sizeof(more), ", \"reused\": %d", reused);
	return target_result(more);
}
