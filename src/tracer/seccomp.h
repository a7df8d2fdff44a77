/*
 * Would a thread's seccomp filters let the soft trap's system calls pass?
 */
#ifndef MEMTRACE_SECCOMP_H
#define MEMTRACE_SECCOMP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/types.h>

#include "base/types.h"

/*
 * Runs a filter program on one system call, as the kernel would (classic BPF with
 * absolute 32-bit loads from struct seccomp_data; Documentation/userspace-api/
 * seccomp_filter.rst).  Returns its verdict (SECCOMP_RET_*), or SECCOMP_RET_KILL_PROCESS
 * for a program that can't be understood.
 */
uint32_t seccomp_run(const struct sock_filter *program, size_t len,
		     const struct seccomp_data *data);

/*
 * May the stopped thread tid make all of these system calls?  1 yes, 0 no, < 0: the filters
 * can't be read (PTRACE_SECCOMP_GET_FILTER needs CAP_SYS_ADMIN, and a kernel with
 * CONFIG_CHECKPOINT_RESTORE).
 */
int seccomp_allows(pid_t tid, const struct seccomp_data *calls, size_t count);

#endif
