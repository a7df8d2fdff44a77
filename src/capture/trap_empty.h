/* Letting threads out of the soft traps. */
#ifndef MEMTRACE_TRAP_EMPTY_H
#define MEMTRACE_TRAP_EMPTY_H

#include "capture/traps.h"

/* Stops all threads and lets none be in a soft trap before its signal is sent; wholly: nor
 * where it has system calls to make, nor in the agent, whose answer may be that trap.  -EAGAIN: one does not come out. */
int trap_empty(struct traps *traps, bool wholly, struct err *err) MUST_CHECK;

#endif
