/* Which formats of viewers this memtrace writes itself. */
#ifndef MEMTRACE_CLI_VIEWERS_H
#define MEMTRACE_CLI_VIEWERS_H

#include "report/processes.h"
#include "report/report.h"

/* For report_options.viewers: all, or NULL. */
report_form_fn *const *viewers(void);
/* The page on several processes; or NULL. */
typedef void viewers_pages_fn(const struct process_report *reports, size_t count, FILE *out);
viewers_pages_fn *viewers_pages(void);
/* For report_options.start_up: the finder, or NULL. */
report_start_up_fn *viewers_start_up(void);

#endif
