/* Reports of elsewhere, printed here: --report. */
#ifndef MEMTRACE_OFFLINE_H
#define MEMTRACE_OFFLINE_H

#include "serve/serve_options.h"

/* What came of one. */
struct offline_result {
	unsigned failed; /* how many of options->fail_on apply, which `remark` is told of */
	int pid;	 /* 0: it was copied, and the others are not known */
	char name[64];	 /* of its program, cut */
	uint64_t bytes, blocks; /* in use */
};

/*
 * Prints what options->report, a snapshot file or a JSON report, says, with the names that the
 * directories give, in options->format.  `remark` is told of debug files that were found and
 * don't match.  -errno: it can't be read or written (ENOENT, EINVAL: it is none, ...); -EPIPE:
 * it was printed, but names are incomplete.
 */
int offline_report(const struct serve_options *options, void (*remark)(const char *text),
		   FILE *out, struct offline_result *ret, struct err *err) MUST_CHECK;

#endif
