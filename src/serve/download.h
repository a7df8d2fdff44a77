/* Debug files from debuginfod servers, when the user asks for it. */
#ifndef MEMTRACE_DOWNLOAD_H
#define MEMTRACE_DOWNLOAD_H

#include "base/err.h"
#include "base/types.h"

struct download;

/* Told now and then how far one is; total 0: not known. */
typedef void download_progress_fn(void *arg, const char *what, uint64_t done, uint64_t total);

/* -ENOENT with the reason: no libdebuginfod, or DEBUGINFOD_URLS is not set.  limit_ms: the
 * longest time one file may take. */
int download_create(unsigned limit_ms, struct download **ret, struct err *err) MUST_CHECK;
void download_destroy(struct download *download); /* NULL is allowed */

/*
 * The debug file of a build-id, in debuginfod's cache: a descriptor of it, and its path,
 * malloc'ed.  -ENOENT: no server has it.  After a server took longer than the limit, nothing
 * more is asked for: -ETIMEDOUT.
 */
int download_debug(struct download *download, const uint8_t *build_id, size_t len,
		   download_progress_fn *progress, void *arg, char **path,
		   struct err *err) MUST_CHECK;

/* Begins a child process that may do what this one gives up: reach the network, write the
 * cache.  The socket to it, or -1.  It ends when that is closed. */
int download_apart(struct download *download);
/* From now on downloads are the child's; socket -1: there are none. */
void download_is_apart(struct download *download, int socket);

#endif
