/* A batch of statuses of a tracee's threads.  Used within tracer/ only. */
#ifndef MEMTRACE_REAP_H
#define MEMTRACE_REAP_H

#include "tracer/tracee.h"

/* Blocks for one (with wait), then takes all others that are ready.  A signal of the
 * program's ends the batch; of every second batch only, as whoever sends signals all the
 * time would keep those from us that come last in the kernel's list. */
int reap(struct tracee *tracee, bool wait);
/* Takes all that are ready, behind what was taken before. */
void reap_more(struct tracee *tracee);

#endif
