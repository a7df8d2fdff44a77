/*
 * A file that is there whole or not at all: written beside the one it replaces, and put in its
 * place when all of it is on the disk.
 */
#ifndef MEMTRACE_ATOMIC_FILE_H
#define MEMTRACE_ATOMIC_FILE_H

#include <stdio.h>

#include "base/err.h"
#include "base/types.h"

struct atomic_file {
	FILE *out;		/* write here */
	char *path, *temporary; /* temporary: NULL where it is written in its place */
	bool truncates;		/* .. and emptied again on failure */
};

/*
 * Where `path` is no regular file (a pipe, a device), or its directory takes no new one, it is
 * written directly.  -ENOTTY: it is a terminal; -errno.  Words of
 * errors leave the file's name to the caller.
 */
int atomic_file_open(const char *path, struct atomic_file *ret, struct err *err) MUST_CHECK;

/* Ends it.  With failed = 0 the file is put in place: 0, or -errno of what came last (a full
 * disk), and then as with `failed`: no trace of it is left.  Returns failed where that is set.
 */
int atomic_file_close(struct atomic_file *file, int failed, struct err *err) MUST_CHECK;

#endif
