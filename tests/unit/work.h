/*
 * How long work takes, in units of this CPU: a test that work has an end must not fail
 * because the CPU is emulated.
 */
#ifndef MEMTRACE_WORK_H
#define MEMTRACE_WORK_H

#include <time.h>

static inline double work_seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* CPU time of a hundred million simple steps, by a tenth of them: some 0.1 s, more under
 * emulation. */
static inline double work_unit(void)
{
	double began = work_seconds();

	for (volatile unsigned i = 0; i < 10000000;)
		i = i + 1;
	return 10 * (work_seconds() - began);
}

#endif
