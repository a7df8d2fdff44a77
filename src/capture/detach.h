/* Letting the process go. */
#ifndef MEMTRACE_DETACH_H
#define MEMTRACE_DETACH_H

#include "capture/engine.h"

/* Stops the process, puts everything back, lets it go.  Sets ending: CAPTURE_DETACHED, if it
 * has not ended. */
void detach_process(struct engine *engine);

#endif
