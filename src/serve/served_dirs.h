/* The directories that are served, opened once. */
#ifndef MEMTRACE_SERVED_DIRS_H
#define MEMTRACE_SERVED_DIRS_H

#include "base/err.h"
#include "base/vec.h"
#include "serve/file_table.h"

enum { SERVED_DIRS_LIMIT_MS = 2000 };

struct served_dirs {
	VEC(struct served_dir) open;
	VEC(char *) silent; /* their file systems did not answer within the limit */
};

/* `names` (NULL-terminated) stay the caller's, and there.  -ENOENT, -ENOTDIR and others, naming
 * the one that can't be had; served_dirs_close() also then. */
int served_dirs_open(struct served_dirs *ret, const char *const *names,
		     struct err *err) MUST_CHECK;
void served_dirs_close(struct served_dirs *dirs);

#endif
