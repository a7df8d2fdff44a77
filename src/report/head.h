/* How a report in text begins. */
#ifndef MEMTRACE_HEAD_H
#define MEMTRACE_HEAD_H

#include <stdio.h>

#include "report/job.h"

/* Who is known to have memory of his own in this process, and what would show it; NULL. */
const char *head_known_other(const struct snapshot *s);
/* RSS at the start and now, and what explains its growth.  True: that is head_known_other(). */
bool head_growth(FILE *out, const struct snapshot *s);
/* Which process it is about, where nothing was watched: a line, and an empty one. */
void head_title(FILE *out, const struct snapshot *s, bool verbose);
/* The parts of it: a line, behind it an empty one; a paragraph; a line for each debug file that
 * was not used, where names are missed. */
void head_process(FILE *out, const struct snapshot *s, bool verbose);
void head_verdict(FILE *out, const struct report_job *job);
void head_remarks(FILE *out, const struct report_job *job, const struct names *names);
/* All of it. */
void head_print(FILE *out, const struct report_job *job, const struct names *names);

#endif
