/*
 * What may be left out of a memtrace that has to fit into little flash: make WITHOUT="looks selftest".
 * Each is asked for where it begins; what nobody else calls then falls out at the link.
 */
#ifndef MEMTRACE_PARTS_OF_CAPTURE_H
#define MEMTRACE_PARTS_OF_CAPTURE_H

#include <stdbool.h>

enum part {
	PART_agent = 1,	    /* --engine=agent, code that is mapped into the process (src/agent/) */
	PART_doctor = 2,    /* --doctor */
	PART_looks = 4,	    /* looks for leaks by this machine: a memtrace-fs on another one looks */
	PART_selftest = 8,  /* --selftest */
	PART_several = 16,  /* several processes at once, --follow */
	PART_runtimes = 32, /* names of generated code: perf maps, jitdump */
};

#ifndef MEMTRACE_WITHOUT
#define MEMTRACE_WITHOUT 0
#endif

static inline bool parts_have(enum part part)
{
	return !(MEMTRACE_WITHOUT & part);
}

#endif
