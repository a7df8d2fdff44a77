/*
 * What a report says where not all allocations were counted: which were not, and that sums are
 * estimates then.
 */
#ifndef MEMTRACE_SAMPLING_H
#define MEMTRACE_SAMPLING_H

#include <stdio.h>

#include "heap/snapshot.h"

/* Counts and bytes are estimates. */
static inline bool sampling_estimates(const struct snapshot *s)
{
	return s->sampling.coarsest;
}

/* Sentences, behind each other; false: all was counted, and nothing is written. */
bool sampling_sentences(FILE *out, const struct snapshot *s);
/* As a paragraph, or in one line, or nothing. */
void sampling_paragraph(FILE *out, const struct snapshot *s);
/* "about ", where it is an estimate. */
void sampling_about(FILE *out, const struct snapshot *s);
/* A line above a table whose numbers are estimates. */
void sampling_line(FILE *out, const struct snapshot *s);

/* The member "sampling", and the comma in front of it. */
void sampling_json(FILE *out, const struct snapshot *s);

#endif
