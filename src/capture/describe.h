/* A snapshot of the present state. */
#ifndef MEMTRACE_DESCRIBE_H
#define MEMTRACE_DESCRIBE_H

#include "capture/engine.h"

int describe_snapshot(struct engine *engine, struct snapshot **ret, struct err *err) MUST_CHECK;
/* Keeps what reports say of the threads, which are about to be let go. */
void describe_keep_threads(struct engine *engine);

#endif
