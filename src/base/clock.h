/* CLOCK_MONOTONIC: the time that passes whatever the clock on the wall is set to. */
#ifndef MEMTRACE_CLOCK_H
#define MEMTRACE_CLOCK_H

#include <stdint.h>

int64_t clock_ns(void);
int64_t clock_ms(void);

#endif
