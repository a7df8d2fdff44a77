/* One run of memtrace on one process, from attach to the final report. */
#ifndef MEMTRACE_SESSION_H
#define MEMTRACE_SESSION_H

#include "cli/options.h"

/* Returns memtrace's exit status. */
int session_run(const struct options *options);

#endif
