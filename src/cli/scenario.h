/*
 * Scenarios: little programs inside memtrace that allocate in a known way, and what
 * memtrace must say of each.
 */
#ifndef MEMTRACE_SCENARIO_H
#define MEMTRACE_SCENARIO_H

#include "base/types.h"

enum { SCENARIO_CONTEXTS = 3 };

/* The exit status of a scenario that the machine has no memory for. */
enum { SCENARIO_CANNOT = 77 };

struct scenario {
	const char *name;
	void (*perform)(void);
	/* Exact, when the scenario has ended. */
	uint64_t allocs, frees, allocated_bytes;
	/* What stays in use, worst first; blocks 0: no more. */
	struct {
		uint64_t bytes, blocks;
	} in_use[SCENARIO_CONTEXTS];
	/* libc allocates for itself too (thread stacks): only in_use is checked, and
	 * other contexts are passed over. */
	bool noisy;
	bool cut; /* its stack is deeper than the default limit */
};

/* NULL: no such scenario. */
const struct scenario *scenario_find(const char *name);

/* The i-th (0..); NULL: there are no more.  The first is "nothing", which allocates
 * nothing: what is seen of it belongs to libc, and to every other one too. */
const struct scenario *scenario_at(size_t i);

#endif
