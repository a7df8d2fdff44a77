/* The process runs another program from now on. */
#ifndef MEMTRACE_EXEC_H
#define MEMTRACE_EXEC_H

#include "capture/engine.h"

/* Its one thread is stopped.  The statistics begin anew, and it waits to be followed
 * (PENDING_MODULES); but those of the old program are the last where the new one is another
 * machine's: its code can't be patched by us (program_check()). */
void exec_begin(struct engine *engine);

#endif
