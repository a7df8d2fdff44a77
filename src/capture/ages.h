/*
 * What the ages of the agent's blocks mean (region/live.h): spans of time, as the generations of
 * the heap are (heap/generations.h), which begin and end with them.
 *
 *    marks in use      set + 0   set + 1   ...   set + count
 *    ticks         begin --- end[0] --- end[1] ...  end[count - 1] --- now
 *
 * When there are AGES_SPANS of them, two by two become one, with the marks of the other set.  A block
 * of before keeps its mark, which means what became of its span, until that set is to be used
 * again: then it gets the new one, while the process runs.
 */
#ifndef MEMTRACE_AGES_H
#define MEMTRACE_AGES_H

#include "region/shared.h"

enum { AGES_SPANS = 32 };

struct ages {
	uint32_t begin, end[AGES_SPANS]; /* ticks */
	uint32_t count;
	uint32_t set; /* 0 or AGES_SPANS */
	bool merged;  /* ever: there may be marks of the other set */
};

/* Begins anew; there are no blocks. */
void ages_clear(struct ages *ages, const struct shared *shared, uint32_t now);
/* The span that runs ends. */
void ages_end(struct ages *ages, const struct shared *shared, uint32_t now);

/* A time (ticks) in the middle of the span that a mark stands for; of the one that has not ended, its
 * first. */
uint32_t ages_time(const struct ages *ages, uint32_t mark);
/* The mark of a block that came then. */
uint32_t ages_mark(const struct ages *ages, uint32_t time);

#endif
