/* How a report in text begins. */
#ifndef MEMTRACE_HEAD_H
#define MEMTRACE_HEAD_H

#include <stdio.h>

#include "report/job.h"

/* Who is known to have memory of his own in this process, and what would show it; NULL. */
const char *head_known_other(const struct snapshot *s);
/* RSS at the start and now, and what explains its growth. */
void head_growth(FILE *out, const struct snapshot *s);
void head_print(FILE *out, const struct report_job *job, const struct names *names);

#endif
