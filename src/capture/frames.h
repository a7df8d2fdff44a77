/* What of a thread's stack is known for sure: for tracer/inside.h. */
#ifndef MEMTRACE_FRAMES_H
#define MEMTRACE_FRAMES_H

#include "capture/walker.h"

/* tracee->frames; arg: the walker. */
size_t frames_known(void *arg, struct thread *thread, struct stack_frame *ret, size_t max);

#endif
