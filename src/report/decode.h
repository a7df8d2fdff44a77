/*
 * Reports that were written without names, and their names later: a report that is
 * "decodable" (report_options) has module, offset and build-id of every frame, so that
 * memtrace-fs --report can put the names in, where the debug files are.
 */
#ifndef MEMTRACE_DECODE_H
#define MEMTRACE_DECODE_H

#include <stdio.h>

#include "base/vec.h"
#include "heap/frame_names.h"
#include "heap/snapshot.h"
#include "report/report.h"
#include "symbols/resolver.h"

/*
 * Copies the report `in` (JSON) to out, each frame as it would have been written
 * with this resolver.  -EINVAL: it is no report of memtrace, or was made to be read only
 * (said in *err); -ENOMEM; -errno of reading or writing.  `remark` (may be NULL) is told,
 * for each module, of files that were found and don't match.  `readable` (may be NULL): what
 * the target's own dynamic symbols, which the report has where nobody knew better, are called
 * by people; malloc'ed, or NULL.
 */
int decode_report(FILE *in, struct resolver *resolver, void (*remark)(const char *text),
		  char *(*readable)(const char *symbol), FILE *out, struct err *err) MUST_CHECK;

/* A report as values. */
struct decoded {
	struct snapshot *snapshot;
	struct frame_names names; /* as the report has them */
	struct report_left_out left_out;
	const char *version; /* of the memtrace that wrote it; or NULL */
	VEC(char *) texts;
};

/* What the JSON report `in` says, for a report of another form.  Errors as decode_report(). */
int decode_read(FILE *in, struct decoded *ret, struct err *err) MUST_CHECK;
void decoded_deinit(struct decoded *decoded);

#endif
