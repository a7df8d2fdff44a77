/* What a look for leaks found (heap/findings.h), in text and JSON. */
#ifndef MEMTRACE_LEAKS_H
#define MEMTRACE_LEAKS_H

#include "heap/findings.h"
#include "report/job.h"

/* The ids in the order of what is lost, then of what is held. */
void leaks_sort(const struct findings *findings, uint32_t *ids, size_t count);

/* Text: the verdict, and of when, where the look was made before; what is lost from before the
 * attach; what of a call stack. */
void leaks_head(FILE *out, const struct report_job *job);
void leaks_before(FILE *out, const struct report_job *job);
void leaks_of_context(FILE *out, const struct report_job *job, uint32_t id);

/* JSON: the member "leaks", without its name; and the members of a context, behind others (none
 * where the look was made before there was that). */
void leaks_json(FILE *out, const struct findings *findings);
void leaks_json_of_context(FILE *out, const struct report_options *options, uint32_t id);

#endif
