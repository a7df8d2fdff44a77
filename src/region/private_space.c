/*
 * The private mapping that holds the breakpoint engine's region.  The one file of
 * region/ that needs an operating system.
 *
 * Reserved memory costs nothing (PROT_NONE, not accounted).  A piece that is
 * released is unreadable again and its pages go back to the system, so that it is
 * zero when it is committed anew.
 */
#include "region/region.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Below this a reservation is of no use. */
#define SMALLEST_LIMIT (1u << 20)

static int commit(struct region_space *space, uint64_t offset, uint64_t len)
{
	return mprotect(space->base + offset, (size_t)len, PROT_READ | PROT_WRITE) ? -errno : 0;
}

static void release(struct region_space *space, uint64_t offset, uint64_t len)
{
	void *at = space->base + offset;

	/* Mapping anew does both at once, also where madvise() may not (mlockall).  It
	 * can fail for want of a map entry: then the pages stay, but zero. */
	if (mmap(at, (size_t)len, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		memset(at, 0, (size_t)len);
}

int region_space_private(struct region_space *ret, uint64_t limit)
{
	void *base = MAP_FAILED;

	errno = ENOMEM;
	for (; limit >= SMALLEST_LIMIT; limit /= 2) {
		if (limit > SIZE_MAX)
			continue;
		base = mmap(NULL, (size_t)limit, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (base != MAP_FAILED)
			break;
	}
	if (base == MAP_FAILED)
		return -errno;
	*ret = (struct region_space){base, limit, commit, release};
	return 0;
}

void region_space_deinit(struct region_space *space)
{
	if (space->base)
		munmap(space->base, (size_t)space->limit);
	space->base = NULL;
}
