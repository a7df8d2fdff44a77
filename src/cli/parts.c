/* What was left out is said where somebody asks for it; see parts.h. */
#include "cli/parts.h"

#include <stdio.h>

#ifndef MEMTRACE_WITHOUT_NAMES
#define MEMTRACE_WITHOUT_NAMES ""
#endif

const char *parts_left_out(void)
{
	return MEMTRACE_WITHOUT ? " (without " MEMTRACE_WITHOUT_NAMES ")" : "";
}

int parts_refuse(const char *asked)
{
	fprintf(stderr, "memtrace: %s: this memtrace was made small, without it (make WITHOUT=)\n",
		asked);
	return 1;
}
