/*
 * Areas of stubs as they are found in a target's memory, by their headers (arch.h): ours, or
 * what predecessors left.
 */
#ifndef MEMTRACE_AREA_H
#define MEMTRACE_AREA_H

#include "arch/trap.h"
#include "hook/padding.h"
#include "tracer/tracee.h"

/* Calls visit for every area of stubs that lies in the space, until it returns true. */
void area_visit(struct tracee *tracee, const struct space *space,
		bool (*visit)(void *arg, taddr_t begin, taddr_t end), void *arg);

#endif
