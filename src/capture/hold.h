/* A tracee in the engine's hands. */
#ifndef MEMTRACE_HOLD_H
#define MEMTRACE_HOLD_H

#include "capture/engine.h"

/* From now on its stops go to the dispatcher, and the guardian watches it. */
void hold_tracee(struct engine *engine);

#endif
