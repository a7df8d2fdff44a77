/* A capture that was saved: a snapshot file or a JSON report, as values. */
#ifndef MEMTRACE_SAVED_H
#define MEMTRACE_SAVED_H

#include <stdio.h>

#include "base/vec.h"
#include "heap/snapshot_file.h"
#include "report/decode.h"

struct saved {
	const struct snapshot *snapshot;
	struct frame_names *names; /* as who wrote it knew them, as people write them */
	const char *version;
	unsigned depth; /* 0: not known */
	struct report_left_out left_out;
	bool is_json;
	/* where all that lies: */
	struct snapshot_file *file;
	struct decoded decoded;
	VEC(char *) readable;
};

/* Whether it is a JSON report; passes the blanks before it.  -EINVAL: neither. */
int saved_is_json(const char *path, FILE *in, bool *ret, struct err *err) MUST_CHECK;

/* A symbol as people write it, malloc'ed, or NULL: as it is. */
typedef char *saved_readable_fn(const char *symbol);

/* All of it, with names of symbol tables made readable, if that is given.  -EINVAL: it is none, or
 * damaged; -EFBIG, -ENOMEM, -errno of reading. */
int saved_read(const char *path, FILE *in, saved_readable_fn *readable, struct saved *ret,
	       struct err *err) MUST_CHECK;
/* The same of the file `path`, also where it can't be opened. */
int saved_open(const char *path, saved_readable_fn *readable, struct saved *ret,
	       struct err *err) MUST_CHECK;
void saved_deinit(struct saved *saved); /* all zero is allowed */

#endif
