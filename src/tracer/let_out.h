/* Threads come out of code in which none waits for another, and which calls no other: an agent. */
#ifndef MEMTRACE_LET_OUT_H
#define MEMTRACE_LET_OUT_H

#include "tracer/inside.h"

/* All threads are stopped, before and behind it; those whose pc is in the range have run until it was not, the
 * others have not run, for 200 ms at most.  -EAGAIN: one is in there still, or a signal's handler has
 * interrupted one there; or the error of tracee_stop(): then they run. */
int let_out(struct tracee *tracee, const struct inside_range *range, struct err *err) MUST_CHECK;

#endif
