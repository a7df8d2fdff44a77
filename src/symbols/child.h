/* memtrace-fs as a child process, on a socket pair. */
#ifndef MEMTRACE_CHILD_H
#define MEMTRACE_CHILD_H

#include <sys/types.h>

#include "base/err.h"
#include "base/types.h"

struct child {
	pid_t pid; /* 0: none */
	int fd;	   /* our end of the pair, close-on-exec; the caller's to close */
};

/*
 * Starts `server` (NULL: memtrace-fs beside /proc/self/exe, else in PATH) with "--fd=3"
 * and args (NULL-terminated, may be NULL).  It has a process group of its own, default
 * signals, and /dev/null for stdin and stdout.
 */
int child_start(const char *server, const char *const *args, struct child *ret,
		struct err *err) MUST_CHECK;

/* Reaps it: waits at most grace_ms for it to end, then kills it.  To be called after fd
 * was closed.  Returns its wait status, or -1 when it was killed here or is unknown. */
int child_end(struct child *child, unsigned grace_ms);

#endif
