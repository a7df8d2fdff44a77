/* The console's `status`, which is also a report's end: fixed words, plain numbers. */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "report/report.h"

/* "Wed Feb 23 16:31:51 2022", local time, in no locale. */
static void print_date(FILE *out, time_t when)
{
	char text[26];
	struct tm tm;

	if (localtime_r(&when, &tm) && asctime_r(&tm, text))
		fprintf(out, "%.24s", text);
}

int report_status(const struct snapshot *snapshot, FILE *out)
{
	const struct region_totals *t = &snapshot->totals;

	errno = 0;
	fputs("HEAP SUMMARY ", out);
	print_date(out, snapshot->taken.tv_sec);
	fprintf(out,
		"\n\n    in use: %" PRIu64 " bytes in %" PRIu64 " blocks\n"
		"    total heap usage: %" PRIu64 " allocs, %" PRIu64 " frees, %" PRIu64
		" bytes allocated\n",
		t->allocated_bytes - t->freed_bytes, t->allocs - t->frees, t->allocs, t->frees,
		t->allocated_bytes);
	if (t->frees_of_unknown)
		fprintf(out, "    freed, allocated before counting began: %" PRIu64 " blocks\n",
			t->frees_of_unknown);
	if (t->lost_events)
		fprintf(out, "    lost events: %" PRIu64 " (the counts above are not exact)\n",
			t->lost_events);
	if (t->overflow_blocks)
		fprintf(out, "    not counted, memtrace had no memory: %" PRIu64 " blocks\n",
			t->overflow_blocks);
	return ferror(out) ? (errno ? -errno : -EIO) : 0;
}
