/* Parts that were left out (capture/parts.h), in words. */
#ifndef MEMTRACE_CLI_PARTS_H
#define MEMTRACE_CLI_PARTS_H

#include "capture/parts.h"

/* " (without looks, selftest)", or ""; static. */
const char *parts_left_out(void);

/* Says that what was asked for (an option) was left out; the exit status. */
int parts_refuse(const char *asked);

#endif
