/*
 * The formats of other people's viewers and test runners, for report_options.viewers.  Who does
 * not name them does not link them, which a device is spared.
 */
#ifndef MEMTRACE_VIEWERS_H
#define MEMTRACE_VIEWERS_H

#include "report/processes.h"
#include "report/report.h"

extern report_form_fn *const report_viewers[]; /* by enum report_format */

report_form_fn pprof_write, speedscope_write, heaptrack_write, dhat_write, massif_write,
	gperftools_write, html_write, junit_write, sarif_write;

/* html of several processes, of the pages of each. */
void html_pages(const struct process_report *reports, size_t count, FILE *out);

#endif
