/* The verdicts on all contexts of a snapshot, and on the process. */
#ifndef MEMTRACE_VERDICTS_H
#define MEMTRACE_VERDICTS_H

#include "heap/births.h"
#include "heap/findings.h"
#include "heap/verdict.h"

struct verdicts {
	struct verdict *at; /* by context */
	uint32_t count;
	struct verdict process; /* that of its contexts: of those that leak, or, if there is
				 * none, that grow; else that of its course */
	struct verdict totals; /* that of its course */
	/* What they are from, for a snapshot file; NULL: it is not known. */
	const struct generations *generations;
	const struct course *course;
	struct births births;
};

/* By what was kept until the snapshot (of its ticks_now), and its blocks in use: g and course
 * must live as long; the births are taken over, also where it fails: -ENOMEM. */
int verdicts_create(const struct snapshot *snapshot, const struct generations *g,
		    struct births *births, const struct course *course,
		    struct verdicts **ret, struct err *err) MUST_CHECK;
void verdicts_destroy(struct verdicts *verdicts); /* NULL is allowed */

/* Of a context; NULL: nobody knows. */
static inline const struct verdict *verdicts_of(const struct verdicts *verdicts, uint32_t id)
{
	return verdicts && id < verdicts->count ? &verdicts->at[id] : NULL;
}

/* What a look at the memory found goes before: who lost blocks leaks, and what is held does
 * not, but may grow; of an earlier look, only the first. */
void verdicts_see(struct verdicts *verdicts, const struct findings *findings, bool earlier);

#endif
