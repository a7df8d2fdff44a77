/* A session over several processes. */
#ifndef MEMTRACE_SEVERAL_H
#define MEMTRACE_SEVERAL_H

#include "cli/options.h"

/* options->pids; returns the exit status: that of the first of them which is not 0. */
int several_run(const struct options *options);

#endif
