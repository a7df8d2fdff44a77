/*
 * watching: has memories as an agent has them, and is none.
 *
 *   one that is written to from its first byte on, as a memtrace has it of whom it watches
 *   one that is read alone, whose code is gone, with what the program has mapped there since
 *
 * Between two lines the first is whole, and so is what lies in front of the second.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create(2)'s number */
#endif
#include <sys/mman.h>
#include <sys/syscall.h>

#include "target.h"

enum { BYTES = 1 << 18, PATTERN = 0x55 };

static int memory_file(void)
{
	int file = (int)syscall(SYS_memfd_create, "memtrace-agent", 0u);

	if (file < 0 || ftruncate(file, BYTES))
		abort();
	return file;
}

static unsigned char *mapped(void *at, int prot, int flags, int file)
{
	unsigned char *ret = mmap(at, BYTES, prot, flags, file, 0);

	if (ret == MAP_FAILED)
		abort();
	return ret;
}

static int is_whole(const unsigned char *bytes)
{
	for (int i = 0; i < BYTES; i++)
		if (bytes[i] != PATTERN)
			return 0;
	return 1;
}

/* Is it mapped?  (No fault, where it is not.) */
static int is_there(unsigned char *at)
{
	unsigned char pages[BYTES / 4096];

	return !mincore(at, BYTES, pages);
}

int main(void)
{
	int first = memory_file(), second = memory_file();
	unsigned char *own = mapped(NULL, PROT_READ | PROT_WRITE, MAP_SHARED, first);
	unsigned char *low = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (low == MAP_FAILED)
		abort();
	mapped(low + BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, second);
	close(first);
	close(second);
	memset(own, PATTERN, BYTES);
	memset(low, PATTERN, BYTES);
	target_ready();
	target_kept[0] = malloc(40);
	free(target_kept[0]);
	target_done();
	if (!is_there(own) || !is_whole(own))
		target_fail("what it maps itself was taken");
	if (!is_there(low) || !is_whole(low))
		target_fail("what lies in front of a memory was written to");
	return target_result(NULL);
}
