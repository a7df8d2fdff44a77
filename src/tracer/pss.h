/* The proportional set size of a process. */
#ifndef MEMTRACE_PSS_H
#define MEMTRACE_PSS_H

#include <sys/types.h>

#include "base/types.h"

/* Bytes; 0: not known (Linux before 4.14, or it has ended). */
uint64_t pss_read(pid_t pid);

#endif
