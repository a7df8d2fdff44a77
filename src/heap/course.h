/*
 * The course of a capture: its totals, a point each time that somebody takes one, in bounded
 * memory however long that goes on.
 */
#ifndef MEMTRACE_COURSE_H
#define MEMTRACE_COURSE_H

#include <stddef.h>

#include "base/types.h"

struct course_point {
	int64_t ms;		      /* clock_ms() */
	uint64_t allocs, frees;	      /* since counting began */
	uint64_t in_use, most_in_use; /* bytes: now, and the most since the point before */
	uint64_t resident;	      /* bytes; 0: not known */
	uint64_t mapped;	      /* the same, mapped for data: allocators' and others' */
	uint64_t obtained; /* what allocators have of the kernel, by their books; 0: not known */
	uint64_t pss;		      /* the same as resident, of what it shares only its part */
	uint32_t samples;	      /* that it stands for */
};

struct course { /* all zero but max_bytes: nothing yet */
	size_t max_bytes;
	struct course_point *points; /* by time */
	size_t count, capacity;
	uint32_t every; /* a point stands for so many samples, but for the last; 0: 1 */
};

/* What may be given as max_bytes at least. */
enum { COURSE_MIN_BYTES = 1024 };

/* A sample, later than all before; most_in_use and samples are set here.  One that has
 * allocated or freed less than the last begins the course anew.  Where there is no room points
 * are merged by pairs; where there is no memory at all the sample is lost. */
void course_add(struct course *course, const struct course_point *sample);
void course_clear(struct course *course); /* max_bytes stays */

struct course_row {
	double seconds;		   /* since the first point */
	struct course_point point; /* the last in it; most_in_use: of all in it */
	double span;		   /* seconds since the row before; 0: the first row */
	uint64_t allocs, frees;	   /* since the row before */
};

/* The whole course in at most `max` (2 or more) rows: the first point, and spans of equal time,
 * without those in which no point lies.  Returns how many. */
size_t course_rows(const struct course *course, size_t max, struct course_row *rows);

#endif
