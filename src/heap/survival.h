/*
 * The verdict on one context: by its generations, and by what they kept.
 */
#ifndef MEMTRACE_SURVIVAL_H
#define MEMTRACE_SURVIVAL_H

#include "heap/births.h"
#include "heap/verdict.h"

struct survival { /* by generation; the last one has not ended */
	size_t count;
	double end[BIRTHS_MAX];	      /* seconds; it begins where the one before ends */
	double begin;		      /* of the first */
	uint64_t born[BIRTHS_MAX];    /* blocks */
	uint64_t alive[BIRTHS_MAX];   /* of those, in use now */
	uint64_t in_use[BIRTHS_MAX];  /* bytes at its end, whenever they were allocated */
	uint64_t blocks[BIRTHS_MAX];  /* the same, in blocks */
	bool freed;		      /* some of its blocks were */
};

/* `sigma`: trend_sigma_of() all contexts that are looked at. */
struct verdict survival_verdict(const struct survival *s, double sigma);

#endif
