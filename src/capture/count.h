/* Calls of allocators, counted. */
#ifndef MEMTRACE_COUNT_H
#define MEMTRACE_COUNT_H

#include "capture/call.h"
#include "capture/engine.h"

/* A call of one of an allocator's functions; the thread has thread_data(). */
void count_call(struct engine *engine, struct thread *thread, const struct call *call);

#endif
