/* Sharers behind an exec of the process. */
#ifndef MEMTRACE_LEFT_SHARERS_H
#define MEMTRACE_LEFT_SHARERS_H

#include "tracer/tracee.h"
#include "tracer/undo.h"

/* The process is another program: what it was is put back in the memory that its sharers have
 * for themselves now, by the old program's log, and they are let go.  No stop is waiting to be
 * handed out. */
void tracee_leave_sharers(struct tracee *tracee, const struct undo *undo);

#endif
