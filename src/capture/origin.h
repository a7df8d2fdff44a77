/* The region's origin and modules (region/region.h), written for who comes to it later. */
#ifndef MEMTRACE_ORIGIN_H
#define MEMTRACE_ORIGIN_H

#include "capture/ledger.h"

/* After modules came or went, and once before anything is counted. */
void origin_write(struct ledger *ledger, pid_t pid);

#endif
