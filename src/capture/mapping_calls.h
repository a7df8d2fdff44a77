/* What calls of mmap(), munmap(), mremap() and brk() mean for the list of mappings. */
#ifndef MEMTRACE_MAPPING_CALLS_H
#define MEMTRACE_MAPPING_CALLS_H

#include "capture/call.h"
#include "capture/engine.h"

/* At the entry of the call, and at its return; the thread is stopped at the trap. */
void mapping_call(struct engine *engine, struct thread *thread, const struct call *call);

#endif
