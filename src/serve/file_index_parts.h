/* The inside of the index: file_index.c (which files there are), file_index_find.c (which of them
 * is a module's). */
#ifndef MEMTRACE_FILE_INDEX_PARTS_H
#define MEMTRACE_FILE_INDEX_PARTS_H

#include "serve/file_index.h"
#include "serve/indexer.h"
#include "serve/served_dirs.h"

struct file_index {
	struct served_dirs dirs;
	bool public;
	struct file_table table;
	struct indexer indexer;
	bool ready;
};

/* Calls visit with the path, then without its first directory, and so on; before that with
 * the other of /lib and /usr/lib. */
bool file_index_each_suffix(const char *path, bool (*visit)(void *arg, const char *path),
			    void *arg);

#endif
