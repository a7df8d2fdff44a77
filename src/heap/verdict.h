/*
 * Verdicts: what the memory in use of a process, or of one context, is like, and what that rests
 * on.  Totals speak of growth alone; a context's generations tell a leak from a cache.
 */
#ifndef MEMTRACE_VERDICT_H
#define MEMTRACE_VERDICT_H

#include "heap/course.h"
#include "heap/trend.h"

/* Of a process, less is too early: what some seconds would be in an hour nobody knows. */
enum { VERDICT_MIN_SECONDS = 60 };

enum verdict_word { /* the worse, the higher */
	VERDICT_TOO_EARLY,     /* watched for too short, or all of the growth in one step */
	VERDICT_STEADY,	       /* no growth that is not chance (or it shrinks) */
	VERDICT_CACHE,	       /* blocks stay long, and go all the same */
	VERDICT_LEVELLING_OFF, /* it grew, and does hardly any more */
	VERDICT_FRAGMENTATION, /* RSS grows, what is in use does not; of a process only */
	VERDICT_GROWS,
	VERDICT_LEAKS, /* of each generation some blocks stay, however old it gets */
	VERDICT_WORDS
};

struct verdict {
	enum verdict_word word;
	double seconds;			  /* watched for so long */
	double per_hour, lowest, highest; /* bytes; 95 of 100 times within; GROWS, LEAKS */
	uint64_t grown; /* bytes; LEVELLING_OFF: between the first and the last third;
			 * FRAGMENTATION: of RSS */
	uint64_t step;	/* TOO_EARLY: the one step, or 0 */
	/* Of a context, from here on. */
	uint32_t generations; /* LEAKS: that are old enough; TOO_EARLY: all, or 0 */
	uint32_t kept;	      /* LEAKS: of those, with blocks in use */
	uint64_t born, alive; /* blocks; LEAKS: in those; TOO_EARLY: in all */
	double age;	      /* seconds; CACHE: hardly a block is older */
	/* Of a process, where it is that of its contexts: how many have it. */
	uint32_t contexts;
	bool scanned; /* a look at the memory says so (heap/findings.h): LEAKS: `alive` blocks,
		       * `grown` bytes are lost; GROWS: what would be a leak is held */
	/* Of a process: what it may take at most, and what is left of that; 0: no limit is known. */
	uint64_t limit, left;
	const char *said; /* what it rests on, in words, where only these are known; or NULL */
};

struct verdict verdict_of_course(const struct course *course);

/* What a series rises like: STEADY, LEVELLING_OFF, GROWS, or TOO_EARLY: in one step.  At
 * least 6 values.  Leaves s changed. */
struct verdict verdict_of_series(struct trend_series *s, double sigma);

/* "grows", "levelling off", "steady", "too early" ... */
const char *verdict_name(enum verdict_word word);
/* VERDICT_WORDS: there is no such word. */
enum verdict_word verdict_of_name(const char *name);

#endif
