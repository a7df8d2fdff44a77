/* Inside the page: the capture as JSON, for its script (doc/page.md). */
#ifndef MEMTRACE_HTML_DATA_H
#define MEMTRACE_HTML_DATA_H

#include "report/export/html_parts.h"
#include "report/export/texts.h"

/* An element <script> that is none to be run.  0, -ENOMEM, -ECANCELED, or -errno of a failed
 * write. */
int html_data(const struct exports *exports, const struct course *course, FILE *out,
	      struct err *err) MUST_CHECK;

/* Members of it: course, generations, births, marks, comparison.  course may be NULL. */
int html_data_time(const struct exports *exports, const struct course *course, FILE *out,
		   struct err *err) MUST_CHECK;

/* 1/100 s since counting began, of a time in a context's time base; may be negative. */
static inline int64_t html_ticks(const struct snapshot *s, uint32_t ticks)
{
	return (int64_t)(report_seconds(s) * 100 + 0.5) + ticks - s->ticks_now;
}

#endif
