/* Reports of elsewhere, printed here: --report. */
#ifndef MEMTRACE_OFFLINE_H
#define MEMTRACE_OFFLINE_H

#include "serve/serve_options.h"

/*
 * Prints what options->report, a snapshot file or a JSON report, says, with the names that the
 * directories give, in options->format.  `remark` is told of debug files that were found and
 * don't match.  -errno: it can't be read or written (ENOENT, EINVAL: it is none, ...); -EPIPE:
 * it was printed, but names are incomplete.  *failed: how many of options->fail_on apply, which
 * `remark` is told of.
 */
int offline_report(const struct serve_options *options, void (*remark)(const char *text),
		   FILE *out, unsigned *failed, struct err *err) MUST_CHECK;

#endif
