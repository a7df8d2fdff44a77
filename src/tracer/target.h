/*
 * The memory of the target process.
 *
 * Reads: /proc/PID/mem, and not process_vm_readv, which is 0.1 us faster and waits where a page
 * server of the target's own (userfaultfd) must bring the page: for ever, if that is stopped.
 * The file fails at once there (-EIO). Writes (text too, whatever its protection): the same
 * file, or PTRACE_POKEDATA where the kernel refuses (proc_mem.force_override=never, a read-only
 * /proc); for that one thread of the target must be stopped.  Only undo.c writes.
 *
 * Mapped files of a file system that may not answer (`far`) are read and written where the page
 * is there already; else a process apart has it brought first, with a limit.
 */
#ifndef MEMTRACE_TARGET_H
#define MEMTRACE_TARGET_H

#include <sys/types.h>

#include "base/err.h"
#include "base/memory.h"
#include "elf/apart.h"
#include "elf/maps.h"

struct target {
	struct memory memory;
	pid_t pid;		  /* whose memory; any of its threads */
	int fd;			  /* /proc/PID/mem, or -1 */
	int pages;		  /* /proc/PID/pagemap, opened when it is needed; -1 */
	const struct ranges *far; /* NULL: none */
	struct apart apart;	  /* for target_fetch() */
	unsigned unanswered;
};

int target_open(struct target *ret, pid_t pid, struct err *err) MUST_CHECK;
/* The same of a thread that the calling thread traces.  -ESRCH: what /proc shows by that number
 * is not that thread: it would be somebody else's memory. */
int target_open_traced(struct target *ret, pid_t pid, struct err *err) MUST_CHECK;
/* Not a process but a file that holds memory, by address.  The caller keeps fd. */
void target_of_file(struct target *ret, int fd);
void target_close(struct target *target);

/* Exactly len bytes, or -errno. */
int target_read(struct target *target, taddr_t addr, void *buf, size_t len);
/* As many as there are up to len: the count (>= 1), or -errno. */
ssize_t target_read_some(struct target *target, taddr_t addr, void *buf, size_t len);
/*
 * The same while the threads are stopped: never waits for a page that is swapped out.  (Where
 * the kernel has no pagemap it might.)  -EAGAIN: it would have to wait; -EIO: nothing is mapped
 * there, or it is for a page server to bring.
 */
ssize_t target_read_stopped(struct target *target, taddr_t addr, void *buf, size_t len);
/* Has the page at addr brought by whoever must, waiting a while: the target must run.  0: now it
 * is there; -errno. */
int target_fetch(struct target *target, taddr_t addr);
int target_write(struct target *target, taddr_t addr, const void *buf, size_t len);

#endif
