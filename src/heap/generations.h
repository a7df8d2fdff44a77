/*
 * Generations: what every context allocated and freed in each span of time since counting began,
 * in bounded memory however long that goes on.  With the ages of the blocks in use (births.h)
 * they say what part of a generation is still there.
 */
#ifndef MEMTRACE_GENERATIONS_H
#define MEMTRACE_GENERATIONS_H

#include "heap/marks.h"

enum {
	GENERATIONS_MAX = 32,
	GENERATIONS_MIN = 8,
	GENERATIONS_FIRST_TICKS = 100, /* a second */
};

struct generation {
	uint32_t end;	  /* ticks; it begins where the one before ends */
	uint8_t *changes; /* of contexts that changed, by id: numbers in LEB128 (DWARF 5, 7.6):
			   * id less the one before (the first: id + 1), allocs, frees,
			   * allocated bytes, freed bytes */
	size_t len;
};

struct generations { /* all zero but max_bytes and ticks: nothing yet */
	size_t max_bytes; /* of changes, where there are more than GENERATIONS_MIN */
	uint32_t ticks;	  /* that a new one lasts; twice as long after each merging */
	uint32_t begin;	  /* ticks: where the first one begins */
	struct generation at[GENERATIONS_MAX];
	size_t count;
	struct mark_counters *last; /* by id, at the end of the last one */
	uint32_t last_count;
};

/* Forgets all: the first generation begins now. */
void generations_clear(struct generations *g, uint32_t now);

bool generations_are_due(const struct generations *g, uint32_t now);
/* A generation ends, with these counters.  Where they are below those before counting began anew,
 * and so do the generations.  Where there is no memory it goes on. */
void generations_add(struct generations *g, const struct region_context *contexts,
		     uint32_t count, uint32_t now);

/* Reads them by context. */
struct generations_walk {
	struct {
		const uint8_t *at, *end;
		uint64_t next; /* id + 1 of the change that comes; 0: none */
	} part[GENERATIONS_MAX];
	const struct generations *g;
};

void generations_walk_begin(struct generations_walk *walk, const struct generations *g);
/* What context `id`, higher than the one before, changed in each generation: ret[count]. */
void generations_walk_to(struct generations_walk *walk, uint32_t id,
			 struct mark_counters ret[GENERATIONS_MAX]);

/* What the counters of contexts changed from one state to a later one, as a generation has it,
 * malloc'ed; and such changes added to counters, of as many contexts as they are of.  -ENOMEM. */
int generations_encode(const struct mark_counters *before, uint32_t before_count,
		       const struct mark_counters *after, uint32_t count, uint8_t **bytes,
		       size_t *len) MUST_CHECK;
void generations_apply(const uint8_t *changes, size_t len, struct mark_counters *counters);

/* Whether changes that came from a file are what generations_add() writes, of contexts below
 * `count`. */
bool generations_are_valid(const uint8_t *changes, size_t len, uint32_t count);

#endif
