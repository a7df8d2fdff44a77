/*
 * What the ages of the agent's blocks mean (region/live.h): spans of time, which end with the generations
 * of the heap (heap/generations.h), and in front of and behind a mark of somebody's (heap/marks.h): what came while
 * counts were being added up for it may be of before or after.
 *
 *    ticks         begin --- end[0] --- end[1] ...  end[count - 1] --- now
 *    span                 0          1                            count
 *
 * A block has a label, that of the span that ran when it came; a span may have several.  Generations become one by
 * two and two when there are AGES_GENERATIONS of them; marks, the oldest, when there is no room: their labels stay
 * where they are, and mean the whole.  Only when there is none left for a new span each gets one of them
 * alone, while the process runs.
 */
#ifndef MEMTRACE_AGES_H
#define MEMTRACE_AGES_H

#include "region/live.h"

enum { AGES_GENERATIONS = 32, AGES_ENDS = LIVE_AGES - 1, AGES_UNUSED = LIVE_AGES };

enum ages_by {
	AGES_BY_GENERATION,
	AGES_BY_MARK,	 /* .. that is to be set */
	AGES_BY_MARK_SET /* .. that is set: in a tick of that span */
};

struct ages {
	uint32_t begin, end[AGES_ENDS]; /* ticks: the last one of each span that has ended */
	uint32_t count;
	uint32_t label;		    /* of the span that runs */
	uint8_t span_of[LIVE_AGES]; /* by label; or AGES_UNUSED */
	uint8_t by[AGES_ENDS];	    /* what that span ends by: enum ages_by */
};

/* From one tick to another, both of them included. */
struct ages_range {
	uint32_t first, last;
};

/* Begins anew; there are no blocks. */
void ages_clear(struct ages *ages, const struct shared *shared, uint32_t now);
/* They come from another memtrace, which may have told of spans since then that nobody knows: what came in them is of
 * the one that runs. */
void ages_go_on(struct ages *ages, const struct shared *shared);
/* The span that runs ends: a generation does. */
void ages_end(struct ages *ages, const struct shared *shared, uint32_t now);
/* A mark is to be set: what came until now is of before it; and it is set: what comes is of after it. */
void ages_mark_begins(struct ages *ages, const struct shared *shared, uint32_t now);
void ages_mark_ends(struct ages *ages, const struct shared *shared, uint32_t now);

/* A time (ticks) in the middle of the span that a label stands for; of the one that has not ended, its
 * first. */
uint32_t ages_time(const struct ages *ages, uint32_t label);
/* When a block of that time may have come, where now is `now`: one that has its time of
 * ages_time() came at any time of the span. */
struct ages_range ages_range(const struct ages *ages, uint32_t time, uint32_t now);
/* The label of a block that came then. */
uint32_t ages_label(const struct ages *ages, uint32_t time);

/* Whether those that came from elsewhere can be so. */
bool ages_are_sound(const struct ages *ages);

#endif
