/*
 * Text that is no longer its file's: the program copies its own code into anonymous memory,
 * at the same place, as programs do that want huge pages for it.  argv[1] leaks.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "target.h"

NOINLINE static void *level3(size_t size)
{
	void *block = got(malloc(size), size);

	__asm__ volatile("" : : "r"(block) : "memory");
	return block;
}

NOINLINE static void *level2(size_t size)
{
	volatile char big[100] = {0};
	void *block = level3(size + (size_t)big[50]);

	__asm__ volatile("" : : "r"(big) : "memory");
	return block;
}

NOINLINE static void *level1(size_t size)
{
	void *block = level2(size);

	__asm__ volatile("");
	return block;
}

__asm__(".space 2048"); /* (room for stubs behind the static program) */

/* The executable mapping that main() is in, by the process' own map. */
static int text_find(unsigned long *begin, unsigned long *end)
{
	unsigned long here = (unsigned long)level1;
	static char text[65536]; /* (stdio would allocate) */
	int fd = open("/proc/self/maps", O_RDONLY), found = 0;
	size_t len = 0;

	for (ssize_t n = 1; fd >= 0 && n > 0; len += n > 0 ? (size_t)n : 0)
		n = read(fd, text + len, sizeof(text) - 1 - len);
	for (char *line = text; line && !found; line = strchr(line, '\n')) {
		line += *line == '\n';
		found = sscanf(line, "%lx-%lx", begin, end) == 2 && *begin <= here &&
			here < *end;
	}
	close(fd);
	return found;
}

static void text_copy(void)
{
	unsigned long begin, end;
	void *copy;

	if (!text_find(&begin, &end)) {
		target_fail("no text");
		return;
	}
	copy = mmap(NULL, end - begin, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (copy == MAP_FAILED) {
		target_fail("no memory");
		return;
	}
	memcpy(copy, (void *)begin, end - begin);
	if (mprotect(copy, end - begin, PROT_READ | PROT_EXEC) ||
	    mremap(copy, end - begin, end - begin, MREMAP_MAYMOVE | MREMAP_FIXED,
		   (void *)begin) != (void *)begin)
		target_fail("cannot put it in its place");
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 20;

	if (argc > 2) /* while it is watched */
		target_ready();
	text_copy();
	if (argc <= 2)
		target_ready();
	for (int i = 0; i < count; i++)
		target_kept[i % 8] = level1(1000);
	target_done();
	return target_result(NULL);
}
