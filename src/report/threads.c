/*
 * The console's `threads`:
 *
 *            tid      allocs       frees  name             state
 *          16563         205         205  dnsmasq          running
 */
#include <errno.h>
#include <inttypes.h>

#include "report/report.h"
#include "report/sampling.h"
#include "report/utf8.h"

int report_threads(const struct snapshot *snapshot, FILE *out)
{
	errno = 0;
	if (snapshot->sampling.coarsest || snapshot->sampling.min_size)
		fputs("(calls that were counted; not all are)\n", out);
	fprintf(out, "%10s%12s%12s  %-16s %s\n", "tid", "allocs", "frees", "name", "state");
	for (size_t i = 0; i < snapshot->thread_count && !ferror(out); i++) {
		const struct snapshot_thread *t = &snapshot->threads[i];
		size_t used = utf8_columns(t->name);

		fprintf(out, "%10d%12" PRIu64 "%12" PRIu64 "  ", t->tid, t->allocs, t->frees);
		utf8_print(out, t->name);
		fprintf(out, "%*s", used < 17 ? (int)(17 - used) : 1, "");
		utf8_print(out, t->state);
		putc('\n', out);
	}
	return ferror(out) ? (errno ? -errno : -EIO) : 0;
}
