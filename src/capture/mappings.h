/* The mappings, looked at anew: modules that have come or gone. */
#ifndef MEMTRACE_MAPPINGS_H
#define MEMTRACE_MAPPINGS_H

#include "capture/engine.h"

/* Whoever relies on them (walker, hooks) is told of a change. */
int mappings_update(struct engine *engine, struct err *err) MUST_CHECK;

#endif
