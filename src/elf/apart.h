/*
 * Reading what may never answer: files of a file system whose server may be dead, memory whose
 * pages somebody else must bring.
 *
 * A process that waits in the kernel for such bytes can't be interrupted, often not even killed;
 * if it traces others, they stay stopped for as long.  So a process apart opens and reads, and is given
 * up when it has not answered in time.
 */
#ifndef MEMTRACE_APART_H
#define MEMTRACE_APART_H

#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/memory.h"

enum { APART_LIMIT_MS = 2000 };

struct apart {
	int fd;	     /* a socket to the process; -1: it is not started, or was given up */
	bool silent; /* it did not answer: everything fails with -ETIMEDOUT */
	unsigned limit_ms;	   /* for each answer */
	const atomic_bool *hurry; /* true: nothing is waited for any more; may be NULL */
	/* What was read last of a file: pieces follow one another. */
	int block_of; /* its handle; -1 */
	uint64_t block_at;
	size_t block_len;
	uint8_t block[4096];
};

/* Nothing is started yet; that happens when it is first needed. */
void apart_init(struct apart *ret, unsigned limit_ms, const atomic_bool *hurry);
/* The process goes when it can: at once, or when the file system answers. */
void apart_deinit(struct apart *apart);

/* Opens a file for reading; flags: O_NOFOLLOW, or 0.  Its handle, and what fstat() says; or -errno. */
int apart_open(struct apart *apart, const char *path, int flags, struct stat *ret);
void apart_close(struct apart *apart, int handle);
/* As many bytes as there are at offset, at most len; 0 at the end of the file; -errno. */
ssize_t apart_read(struct apart *apart, int handle, uint64_t offset, void *buf, size_t len);

/*
 * Has the page at addr of a process brought, that `memory` (a descriptor of ours of its
 * /proc/PID/mem) holds: by a process that has taken over nothing but that descriptor, so all
 * calls of one `apart` must be of the same.  0: it was there for a moment; -errno.
 */
int apart_fetch(struct apart *apart, pid_t pid, int memory, taddr_t addr);

/* An open file as memory, to be made with the handle. */
struct apart_file {
	struct memory memory;
	struct apart *apart;
	int handle;
};
void apart_file_init(struct apart_file *file, struct apart *apart, int handle);

#endif
