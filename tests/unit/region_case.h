/* A region of the process' own, for tests that record and then read. */
#ifndef MEMTRACE_REGION_CASE_H
#define MEMTRACE_REGION_CASE_H

#include "region/region.h"

static struct region_space space;
static struct region *region;

static inline int region_setup(void **state)
{
	(void)state;
	return region_space_private(&space, 1u << 30) || region_init(&space, &region);
}

static inline int region_teardown(void **state)
{
	(void)state;
	region_space_deinit(&space);
	return 0;
}

#endif
