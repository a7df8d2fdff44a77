/*
 * The memory of the target process.
 *
 * Reads: process_vm_readv, or /proc/PID/mem where that is missing or refused.
 * Writes (text too, whatever its protection): /proc/PID/mem, or PTRACE_POKEDATA
 * where the kernel refuses (proc_mem.force_override=never); for that one thread
 * of the target must be stopped.  Only undo.c writes.
 */
#ifndef MEMTRACE_TARGET_H
#define MEMTRACE_TARGET_H

#include <sys/types.h>

#include "base/err.h"
#include "base/memory.h"

struct target {
	struct memory memory;
	pid_t pid;  /* whose memory; any of its threads */
	int fd;	    /* /proc/PID/mem, or -1 */
	bool no_vm; /* process_vm_readv does not work here */
};

int target_open(struct target *ret, pid_t pid, struct err *err);
/* The same of a thread that the calling thread traces.  -ESRCH: what /proc shows by that number
 * is not that thread: it would be somebody else's memory. */
int target_open_traced(struct target *ret, pid_t pid, struct err *err);
/* Not a process but a file that holds memory, by address.  The caller keeps fd. */
void target_of_file(struct target *ret, int fd);
void target_close(struct target *target);

/* Exactly len bytes, or -errno. */
int target_read(struct target *target, taddr_t addr, void *buf, size_t len);
/* As many as there are up to len: the count (>= 1), or -errno. */
ssize_t target_read_some(struct target *target, taddr_t addr, void *buf, size_t len);
int target_write(struct target *target, taddr_t addr, const void *buf, size_t len);

#endif
