/*
 * Fills the table of the files below the directories that are served, by a process of its own:
 *
 *    indexer_begin --> a process per directory, one after the other --> done
 *                        |      ^
 *                        `------'  nothing for INDEXER_LIMIT_MS, in which it waits in the
 *                                  kernel: once more, without what did not answer
 *
 * A process that waits for a dead server can't be ended, and is left alone.
 */
#ifndef MEMTRACE_INDEXER_H
#define MEMTRACE_INDEXER_H

#include <sys/types.h>

#include "serve/file_scan.h"
#include "serve/post.h"

enum {
	INDEXER_LIMIT_MS = 3000,
	INDEXER_MAX_SKIPPED = 8, /* in one directory; then the rest of it is left out */
};

struct indexer {
	const struct served_dir *dirs;
	size_t count;
	struct file_table *table;
	size_t dir;	/* that is read */
	size_t first;	/* where its files begin in the table */
	uint64_t files; /* that were looked at in those before */
	struct scan_beat *beat;
	pid_t pid;
	int fd; /* -1: no process */
	struct post_bytes in;
	uint64_t steps; /* that were seen */
	int64_t moved_at;
	char *skipped[INDEXER_MAX_SKIPPED]; /* of this directory */
	size_t skipped_count;
};

/* dirs and table must be there until indexer_end().  -errno: nothing was begun. */
int indexer_begin(struct indexer *indexer, const struct served_dir *dirs, size_t count,
		  struct file_table *table, struct err *err) MUST_CHECK;

/* Takes what has come; to be called when the descriptor is readable, and a few times a second.
 * *silent (may be NULL) is set to what has just been found not to answer, "DIR/mnt", which is
 * the caller's.  True: all is there. */
bool indexer_step(struct indexer *indexer, char **silent);

/* To be polled for reading; -1: it is done. */
int indexer_fd(const struct indexer *indexer);
/* How many files were looked at. */
uint64_t indexer_files(const struct indexer *indexer);

void indexer_end(struct indexer *indexer); /* also before it is done, or never begun */

#endif
