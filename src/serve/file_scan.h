/* One pass over a directory that is served: which of its files are modules. */
#ifndef MEMTRACE_FILE_SCAN_H
#define MEMTRACE_FILE_SCAN_H

#include <limits.h>
#include <stdatomic.h>

#include "serve/file_table.h"

/* How far it is; in memory that others share. */
struct scan_beat {
	_Atomic uint64_t steps; /* one before whatever may not answer */
	_Atomic uint64_t files; /* how many were looked at */
	char at[PATH_MAX];	/* what is touched in this step */
};

struct file_scan {
	int root; /* the directory, perhaps by O_PATH */
	/* What is not touched: paths below the directory, as `at` had them. */
	char *const *skipped;
	size_t skipped_count;
	struct scan_beat *beat;
	/* Called for each module, whose path is there for the call, and name is NULL.  False:
	 * ends the pass. */
	bool (*found)(void *arg, const struct indexed_file *file);
	void *arg;
};

/* False: found() has said so, or there was no memory. */
bool file_scan_run(const struct file_scan *scan);

#endif
