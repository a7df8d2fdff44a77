/*
 * A series of report files: what the next one is called, and which of the old ones go.
 */
#ifndef MEMTRACE_SERIES_H
#define MEMTRACE_SERIES_H

#include <limits.h>
#include <time.h>

#include "base/err.h"
#include "base/vec.h"

struct series_file {
	char *path; /* malloc'ed */
	int64_t ms; /* when it was written: clock_ms() */
};

struct series { /* all zero: none yet */
	VEC(struct series_file) files; /* that are kept, the oldest first */
	uint64_t written;	       /* so many were */
	int pid;		       /* %p */
};

/*
 * Of a pattern: %Y %m %d %H %M %S of local time, %n the number of the report (from 1, at least
 * four digits), %p the process' number, %% a percent sign; only in a file's name, not its folder's.  -EINVAL: another
 * conversion, or in a folder's name; -ENAMETOOLONG; -errno of a folder that is not there.
 */
int series_check(const char *pattern, struct err *err) MUST_CHECK;
/* Is there a %p in it?  NULL has none. */
bool series_has_pid(const char *pattern);
/* The next one's name, of a pattern that was checked; cut where it is too long. */
void series_name(const struct series *series, const char *pattern, const struct tm *now,
		 char ret[PATH_MAX]);

/* This file was written at `ms`, and replaced one of this name.  Where there are more than `keep`
 * (at least 1), another one is deleted, if it is a regular file still. */
void series_add(struct series *series, const char *path, int64_t ms, size_t keep);
/* The files stay. */
void series_deinit(struct series *series);

#endif
