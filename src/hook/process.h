/* The process that is hooked, as it is. */
#ifndef MEMTRACE_PROCESS_H
#define MEMTRACE_PROCESS_H

#include "elf/module.h"
#include "tracer/tracee.h"
#include "tracer/undo.h"
#include "unwind/external.h"

struct hook_process {
	struct tracee *tracee;
	struct undo *undo; /* where all that is written is written down */
	const struct modules *modules;
	const struct maps *maps;
	const struct externals *externals; /* functions that modules don't name themselves */
};

#endif
