/* Allocators above others: whose is a free of a block that nobody knows? */
#ifndef MEMTRACE_LAYER_H
#define MEMTRACE_LAYER_H

#include "capture/call.h"
#include "capture/engine.h"

/*
 * Is it a layer's, and not the program's?  The table has no trace of what was allocated before
 * we came, so it is asked who calls:
 *  - a function that another module's free() jumped to as its last act has that one's return
 *    address, at the same place;
 *  - the allocator itself, or a layer above it: then or later, in any thread;
 *  - anybody below a function of an allocator that is watched to its end.
 */
bool layer_is_free_of(struct engine *engine, struct thread *thread, const struct call *call);

#endif
