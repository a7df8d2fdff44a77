/* Reports of elsewhere, of one process or of several: --report, --each. */
#ifndef MEMTRACE_OFFLINE_EACH_H
#define MEMTRACE_OFFLINE_EACH_H

#include "serve/offline.h"

/* offline_report(); with options->each of all files, as one document (report/processes.h).  *failed: how many
 * of options->fail_on apply, in all. */
int offline_all(const struct serve_options *options, void (*remark)(const char *text), FILE *out,
		unsigned *failed, struct err *err) MUST_CHECK;

#endif
