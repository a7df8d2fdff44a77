/* What becomes of a stop: each is handed on as if we were not there, but for our own. */
#ifndef MEMTRACE_DISPATCHER_H
#define MEMTRACE_DISPATCHER_H

#include "capture/engine.h"

/* tracee->handle; engine: a struct engine.  It ends with tracee_continue(), or the thread waits
 * for what is pending. */
void dispatch_stop(void *engine, struct stop *stop);

#endif
