/*
 * Why a process can't be attached to, in the user's terms: the first finding of
 * doctor.h that failed.
 */
#ifndef MEMTRACE_ATTACH_H
#define MEMTRACE_ATTACH_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Looks without touching.  0: nothing speaks against it (the kernel may still
 * refuse); else -errno and what to do. */
int attach_check(pid_t pid, struct err *err) MUST_CHECK;

/* Of a process that can be attached to: what speaks for waiting with it.  False: nothing. */
bool attach_doubt(pid_t pid, struct err *ret);

/* Does /proc show processes by our numbers?  0, or -errno and what to mount.  Before anything
 * is opened by the number of a process. */
int attach_check_proc(struct err *err) MUST_CHECK;

/* Of a process that we trace: is its program one for us?  0, or -ENOTSUP and which memtrace
 * is needed. */
int attach_check_machine(pid_t pid, struct err *err) MUST_CHECK;

/* Words for a PTRACE_SEIZE that failed with `code` (-errno).  Returns an -errno. */
int attach_refused(pid_t pid, int code, struct err *err);

#endif
