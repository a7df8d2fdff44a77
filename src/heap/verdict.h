/*
 * What the course of a process' memory in use is like.  It speaks of growth alone: whether what
 * grows is a leak or a cache that fills, totals do not tell.
 */
#ifndef MEMTRACE_VERDICT_H
#define MEMTRACE_VERDICT_H

#include "heap/course.h"

/* Less is too early: what some seconds would be in an hour nobody knows. */
enum { VERDICT_MIN_SECONDS = 60 };

enum verdict_word {
	VERDICT_TOO_EARLY,     /* watched for too short, or all of the growth in one step */
	VERDICT_STEADY,	       /* no growth that is not chance (or it shrinks) */
	VERDICT_LEVELLING_OFF, /* it grew, and does hardly any more */
	VERDICT_GROWS,
};

struct verdict {
	enum verdict_word word;
	double seconds;			  /* for so long */
	double per_hour, lowest, highest; /* bytes; 95 of 100 times within; GROWS only */
	uint64_t grown;			  /* bytes between the first and the last third */
	uint64_t step;			  /* TOO_EARLY: the one step, or 0 */
};

struct verdict verdict_of_course(const struct course *course);

/* "grows", "levelling off", "steady", "too early". */
const char *verdict_name(enum verdict_word word);

#endif
