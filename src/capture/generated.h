/* Frames in code that is no module's: what it is called, and in which mapping it lies. */
#ifndef MEMTRACE_CAPTURE_GENERATED_H
#define MEMTRACE_CAPTURE_GENERATED_H

#include "capture/engine.h"

/* Reads what the runtime has written down since the last time; new walks have keys of it. */
void generated_update(struct engine *engine);

/* The process is about to end, and the last moment has come in which its files are there: /proc/PID/root leads
 * nowhere then.  (java's DumpPerfMapAtExit has just written one.) */
void generated_at_end(struct engine *engine);

/* Frames that no module has get one of the snapshot's alone, named after their mapping, and their
 * names.  0 or -ENOMEM. */
int generated_describe(struct engine *engine, struct snapshot *snapshot) MUST_CHECK;

#endif
