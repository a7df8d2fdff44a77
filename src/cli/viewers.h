/* Which formats of viewers this memtrace writes itself. */
#ifndef MEMTRACE_CLI_VIEWERS_H
#define MEMTRACE_CLI_VIEWERS_H

#include "report/report.h"

/* For report_options.viewers: all, or NULL. */
report_form_fn *const *viewers(void);
/* For report_options.start_up: the finder, or NULL. */
report_start_up_fn *viewers_start_up(void);

#endif
