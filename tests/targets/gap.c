/*
 * gap LIBRARY FILE: has a library with an allocator, and when it is told to, something else
 * in its place: FILE, which others share, mapped so that what is written to it shows.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "target.h"

enum { LEN = 64 << 10 };

static unsigned char before[LEN], after[LEN];

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	char *alloc = library ? dlsym(library, "malloc") : NULL;
	int file = open(argv[2], O_RDWR);
	if (!alloc || file < 0 || pread(file, before, LEN, 0) != LEN)
		return 2;
	target_ready();
	dlclose(library);
	void *at = (void *)(((uintptr_t)alloc & ~4095ul) - LEN / 2);
	if (mmap(at, LEN, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, file, 0) != at)
		target_fail("mmap: %m");
	target_done();
	drop(got(malloc(77), 77), 77);
	target_done();
	if (pread(file, after, LEN, 0) != LEN || memcmp(before, after, LEN))
		target_fail("the file was written to");
	if (memcmp(before, at, LEN))
		target_fail("what is mapped was written to");
	return target_result(NULL);
}
