/* Closing ranges at once where the kernel can, else one by one. */
#include "base/descriptors.h"

#include <stdbool.h>
#include <unistd.h>

#include "base/syscalls.h"

enum { USUAL = 65536 };

/* [first, last]; false: the kernel can't. */
static bool close_range_of(unsigned first, unsigned last)
{
	return first > last || syscall(SYS_close_range, first, last, 0) == 0;
}

/* The lowest of them that is `from` or above; -1: there is none. */
static int next_kept(const int *keep, size_t count, int from)
{
	int found = -1;

	for (size_t i = 0; i < count; i++)
		if (keep[i] >= from && (found < 0 || keep[i] < found))
			found = keep[i];
	return found;
}

void descriptors_close_all_but(const int *keep, size_t count)
{
	long most = sysconf(_SC_OPEN_MAX);
	int from = 0, kept;

	while ((kept = next_kept(keep, count, from)) >= 0) {
		if (kept > from && !close_range_of((unsigned)from, (unsigned)kept - 1))
			break;
		from = kept + 1;
	}
	if (kept < 0 && close_range_of((unsigned)from, ~0u))
		return;
	for (int fd = (int)(most < 0 || most > USUAL ? USUAL : most); fd >= 0; fd--)
		if (next_kept(keep, count, fd) != fd)
			close(fd);
}

void descriptors_close_but(int one, int two)
{
	descriptors_close_all_but((const int[]){one, two}, 2);
}
