/*
 * Syscall User Dispatch (prctl(PR_SET_SYSCALL_USER_DISPATCH), Linux 5.11): a thread's system
 * calls become SIGSYS, but for those from one range of addresses.  Wine and interposers
 * use it.  A byte of the thread's own switches it off and on, which says nothing about the
 * next moment: only the range counts.
 *
 * A thread that is created begins without it.
 */
#ifndef MEMTRACE_DISPATCH_H
#define MEMTRACE_DISPATCH_H

#include <sys/types.h>

#include "base/types.h"

/* Does this kernel have it? */
bool dispatch_is_known(void);

/* May code at [begin, end) make system calls, after prctl() with these arguments? */
bool dispatch_spares(uint64_t mode, uint64_t offset, uint64_t len, taddr_t begin, taddr_t end);

/*
 * May code at [begin, end) make system calls in the stopped thread tid?  1 yes, 0 no,
 * -ENOSYS: the kernel has it but does not say (before Linux 6.4), and the thread catches
 * SIGSYS, which no seccomp filter would send.
 */
int dispatch_allows(pid_t tid, taddr_t begin, taddr_t end);

#endif
