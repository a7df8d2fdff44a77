/* Other processes with the target's memory, made before we came. */
#ifndef MEMTRACE_SHARERS_H
#define MEMTRACE_SHARERS_H

#include <stdbool.h>

#include "tracer/status.h"

/* Has `other` the memory of pid?  False also where the kernel does not say. */
bool sharers_share(pid_t pid, pid_t other);
/* The threads of all processes that do, without pid's own.  0 or -errno. */
int sharers_list(pid_t pid, struct tid_list *ret);
/* Waits a while for those of them that nobody of ours traces: a child by vfork() is mostly gone
 * soon, to a program of its own, and may ask to be traced by its parent before. */
void sharers_wait(pid_t pid, const struct tid_list *tids);

#endif
