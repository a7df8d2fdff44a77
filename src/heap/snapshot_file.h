/*
 * Snapshot files, doc/snapshot.md: a snapshot with all its call stacks, and what its frames are
 * called as far as who wrote it knew.  Read where the debug files are, it gives the report that
 * memtrace would have given there.
 */
#ifndef MEMTRACE_SNAPSHOT_FILE_H
#define MEMTRACE_SNAPSHOT_FILE_H

#include <stdio.h>

#include "heap/course.h"
#include "heap/frame_names.h"
#include "heap/generations.h"
#include "heap/snapshot.h"

/* What a file holds. */
struct snapshot_file {
	struct snapshot *snapshot;
	struct frame_names names; /* of some frames, or all */
	const char *version;	  /* of the memtrace that wrote it */
	unsigned depth;		  /* the limit of frames per stack (-s) */
	char *texts;		  /* where names and version lie */
	struct course course;	  /* what the verdicts are from */
	struct generations generations;
	struct marks marks;
};

/*
 * Writes one, front to back (out may be a pipe), and flushes it.  names may be NULL.  Memory
 * beside the snapshot: some 20 bytes per distinct frame, and 16 per distinct name.  0, -ENOMEM,
 * or -errno of a failed write.
 */
int snapshot_file_write(const struct snapshot *snapshot, const struct frame_names *names,
			const char *version, unsigned depth, FILE *out, struct err *err) MUST_CHECK;

/* Whether bytes begin like a snapshot file; `len` of them, 8 are enough. */
bool snapshot_file_is(const uint8_t *bytes, size_t len);

/*
 * What `len` bytes of a file say; nothing of it points into them.  Everything is checked: who
 * uses the snapshot may trust its numbers as if it were one of snapshot_create().  -EINVAL: it
 * is no snapshot file, cut short, or damaged (in words); -ENOTSUP: of a later version; -ENOMEM.
 */
int snapshot_file_parse(const uint8_t *bytes, size_t len, struct snapshot_file **ret,
			struct err *err) MUST_CHECK;
void snapshot_file_destroy(struct snapshot_file *file); /* NULL is allowed */

#endif
