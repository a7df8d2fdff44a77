/* A child that may wait in the kernel for what never comes. */
#ifndef MEMTRACE_PROCESS_END_H
#define MEMTRACE_PROCESS_END_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Kills it, where it has not ended by itself, and takes its wait status.  False: it does not
 * end (a dead file server holds it), and is left alone. */
bool process_end(pid_t pid, int *status);

/* How much of a CPU's time it has used; -1: not to be known. */
int64_t process_cpu_ns(pid_t pid);
/* It waits in the kernel: it neither runs (or would, if it were its turn) nor was stopped. */
bool process_is_waiting(pid_t pid);

#endif
