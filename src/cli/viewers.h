/* Which formats of viewers this memtrace writes itself. */
#ifndef MEMTRACE_CLI_VIEWERS_H
#define MEMTRACE_CLI_VIEWERS_H

#include "report/report.h"

/* For report_options.viewers: all, or NULL. */
report_form_fn *const *viewers(void);

#endif
