/* Putting a target back that nobody traces any more.  Used within tracer/, and by the engine. */
#ifndef MEMTRACE_MEND_H
#define MEMTRACE_MEND_H

#include "tracer/tracee.h"
#include "tracer/undo.h"

/* A process that has just been born, stopped, with a copy of the target's memory: put back, for
 * as much of it as nobody is inside. */
void mend_child(struct tracee *tracee, struct thread *child, const struct undo *undo);

/* The target, and every process with a copy of its memory, those that are born meanwhile
 * included.  `since`: status_start() of somebody born before anything was changed. */
void mend_all(pid_t target, struct undo *undo, uint64_t since);

#endif
