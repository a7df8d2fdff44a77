/*
 * Marks: the counters of every context at a moment that somebody named, and what changed
 * between two of them.  A mark has no frames: ids of contexts stay for the session, so that the
 * call stacks of any later snapshot are those of the mark.
 */
#ifndef MEMTRACE_MARKS_H
#define MEMTRACE_MARKS_H

#include "heap/snapshot.h"

enum { MARK_NAME_SIZE = 32, MARKS_MAX = 32 };

struct mark_counters {
	uint64_t allocs, frees, allocated_bytes, freed_bytes;
};

struct mark { /* 32 bytes a context */
	char name[MARK_NAME_SIZE];
	bool numbered;			/* nobody gave it the name */
	struct timespec started, taken; /* as the snapshot's */
	int64_t ticks;			/* the same moment; below 0: counting began */
	struct mark_counters total;	/* the sum of contexts[] */
	struct mark_counters *contexts;
	uint32_t context_count;
};

struct marks { /* oldest first; all zero: none */
	struct mark at[MARKS_MAX];
	size_t count;
	unsigned unnamed; /* the number that the next one without a name gets, less one */
};

/* "start": counting began; every counter is 0.  No mark can be called that. */
extern const char marks_start[];

/* What changed of one context; differences are exact: in use then = in use before + born -
 * died. */
struct diff_context {
	uint32_t id;
	uint64_t born, died; /* blocks; the dead may have been born before */
	int64_t blocks, bytes;
	/* Of those born between, so many are in use now; 0 and UINT64_MAX: nobody knows. */
	uint64_t survived_least, survived_most;
};

struct diff {
	const char *from, *to; /* the caller's */
	double seconds;
	int64_t from_ticks, to_ticks; /* below 0: counting began; now */
	bool apart; /* of two captures that are not one: born, died and seconds say nothing */
	struct diff_context total;
	struct diff_context *at; /* whose counters changed: grown by most bytes first, then by
				  * most blocks, then the lower id */
	size_t count;
	size_t grown; /* so many of them, the first, have more in use than before */
};

/* The counters of a snapshot, as the newest mark; name NULL: a number.  Where there are
 * MARKS_MAX the oldest that is numbered is dropped, or else the oldest: true in *dropped.
 * -EEXIST, -EINVAL (the name), -ENOMEM. */
int marks_add(struct marks *marks, const char *name, const struct snapshot *snapshot,
	      bool *dropped, struct err *err) MUST_CHECK;
/* The counters of a snapshot as a mark by itself, whose contexts are to be freed.  -ENOMEM. */
int mark_take(const struct snapshot *snapshot, const char *name, struct mark *ret,
	      struct err *err) MUST_CHECK;
void marks_deinit(struct marks *marks); /* leaves it empty */

/* From a mark (NULL: the newest one, or the start where there is none) to another (NULL: the
 * snapshot, called "now").  -ENOENT: no such mark; -EINVAL: they can't be compared; -ENOMEM. */
int marks_diff(const struct marks *marks, const char *from, const char *to,
	       const struct snapshot *snapshot, struct diff *ret, struct err *err) MUST_CHECK;
void diff_deinit(struct diff *diff);

/* Fills in who survived, by the births between from_ticks and to_ticks. */
struct births_span;
void diff_survived(struct diff *diff, const struct births_span *spans,
		   const struct snapshot *snapshot);

/* Sorts, and fills in `grown` and `seconds`. */
void diff_finish(struct diff *diff, const struct timespec *before, const struct timespec *after);

#endif
