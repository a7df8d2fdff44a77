/* `top`: the call stacks that move, as a table. */
#ifndef MEMTRACE_TOP_H
#define MEMTRACE_TOP_H

#include "report/report.h"

enum top_key { TOP_BY_GROWTH, TOP_BY_RATE, TOP_BY_BYTES };

/* What they are called, by enum top_key; ends with NULL. */
extern const char *const top_keys[];

struct report_top {
	enum top_key key;
	const struct mark *begin; /* growth is since this one */
	const struct mark *last;  /* rates are since this one; later */
	unsigned columns;	  /* of a line, at least 60 */
};

/* Sorts ids of the snapshot: the most by the key first; those that do not move at all by what is
 * in use. */
void top_sort(const struct report_top *top, const struct snapshot *snapshot, uint32_t *ids,
	      size_t count);

#endif
