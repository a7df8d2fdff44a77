/* The change from a wrapper to the program behind it; see succession.h. */
#ifndef MEMTRACE_SUCCEED_H
#define MEMTRACE_SUCCEED_H

#include "capture/engine.h"

/* PENDING_SUCCEED. */
int succeed(struct engine *engine, struct err *err) MUST_CHECK;
/* The program that was followed has ended: the one that was started may not have, and waits for what
 * we trace still.  Handles one stop, or is interrupted by a signal of ours; false: nothing is to be
 * waited for. */
bool succeed_waits(struct engine *engine);
/* What the program that was started has ended with, as of waitpid(); -1: it is the one that was
 * followed, or it runs on. */
int succeed_status(const struct engine *engine);

#endif
