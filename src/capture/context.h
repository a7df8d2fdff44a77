/* Where a call came from: its call stack. */
#ifndef MEMTRACE_CONTEXT_H
#define MEMTRACE_CONTEXT_H

#include "capture/call.h"
#include "capture/engine.h"

/* Walks the stack of the call into ledger.frames.  Is it nested, within another call of an
 * allocator?  If it is not, *context is that of the stack, where one is wanted (not NULL). */
bool context_walk(struct engine *engine, struct thread *thread, const struct call *call,
		  uint32_t *context);

#endif
