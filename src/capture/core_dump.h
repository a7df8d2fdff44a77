/* A process that dies of a signal with a core dump. */
#ifndef MEMTRACE_CORE_DUMP_H
#define MEMTRACE_CORE_DUMP_H

#include "capture/engine.h"

/* A signal is about to be delivered: if it ends the process with a core dump, the thread waits
 * for core_dump_prepare() (PENDING_CORE_DUMP), or for the process to be let go
 * (PENDING_DETACH). */
void core_dump_expect(struct engine *engine, const struct thread *thread, int signo);

/* Puts the code back, and lets that thread alone go on.  Ends PENDING_CORE_DUMP, but where
 * another program has come first. */
int core_dump_prepare(struct engine *engine, struct err *err) MUST_CHECK;

#endif
