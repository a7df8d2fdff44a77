/*
 * What is not followed, and why: the honesty of every count.
 *
 * Who can't follow a function says so once, where it finds out (struct hook_notes); the
 * list goes into each snapshot and from there into each report.  A reason tells what was
 * seen, in words a user can act on, never a guess.  What was missed stays in the list when
 * its module is unmapped: its calls until then were not counted.
 */
#ifndef MEMTRACE_MISSED_H
#define MEMTRACE_MISSED_H

#include "base/vec.h"
#include "heap/snapshot.h"

VEC_TYPE(missed, struct snapshot_missed);

/* A function of the module, or with NULL all of the module.  True: it is news. */
bool missed_add(struct missed *missed, const char *module, const char *function,
		const char *reason);
void missed_clear(struct missed *missed);
void missed_deinit(struct missed *missed);

/* A copy for a snapshot, which frees it.  False: no memory. */
bool missed_copy(const struct missed *missed, struct snapshot *snapshot);

#endif
