/* The console's `status`, which is also a report's end: fixed words, plain numbers. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "report/print.h"
#include "report/report.h"
#include "report/sampling.h"
#include "report/utf8.h"

/* "Wed Feb 23 16:31:51 2022", local time, in no locale. */
static void print_date(FILE *out, time_t when)
{
	char text[26];
	struct tm tm;

	if (localtime_r(&when, &tm) && asctime_r(&tm, text))
		fprintf(out, "%.24s", text);
}

/* What the counts above leave out. */
static void print_doubts(FILE *out, const struct region_totals *t)
{
	if (t->frees_of_unknown) {
		fputs("    freed, allocated before counting began: ", out);
		print_count(out, t->frees_of_unknown, "block");
		putc('\n', out);
	}
	if (t->lost_events)
		fprintf(out, "    lost events: %" PRIu64 " (the counts above are not exact)\n",
			t->lost_events);
	if (t->overflow_blocks) {
		fputs("    not counted, memtrace had no memory: ", out);
		print_count(out, t->overflow_blocks, "block");
		putc('\n', out);
	}
}

/* "inherited from 4711: 12 blocks, 3400 bytes; freed since: 2 blocks, 96 bytes" */
static void print_inherited(FILE *out, const struct snapshot *s)
{
	if (!s->inherited.blocks)
		return;
	fprintf(out, "    inherited from %d: ", s->inherited.parent);
	print_count(out, s->inherited.blocks, "block");
	fputs(", ", out);
	print_count(out, s->inherited.bytes, "byte");
	if (s->sampling.coarsest || s->sampling.min_size) {
		fputs("; not known: how many were freed since", out);
	} else if (s->inherited.freed_blocks) {
		fputs("; freed since: ", out);
		print_count(out, s->inherited.freed_blocks, "block");
		fputs(", ", out);
		print_count(out, s->inherited.freed_bytes, "byte");
	}
	putc('\n', out);
}

static double percent(uint64_t of, uint64_t all)
{
	return all ? 100.0 * (double)of / (double)all : 0;
}

/* What an agent alone could not resolve. */
static void print_alone(FILE *out, const struct snapshot *snapshot)
{
	const struct snapshot_alone *alone = &snapshot->alone;

	if (!alone->ms)
		return;
	fprintf(out, "    without memtrace for %.1f s; not resolved meanwhile: ",
		(double)alone->ms / 1000);
	print_count(out, alone->allocs, "alloc");
	fprintf(out, " (%.2f%% of all)", percent(alone->allocs, snapshot->totals.allocs));
	fputs(", ", out);
	print_count(out, alone->bytes, "byte");
	if (alone->frees) {
		fputs(", ", out);
		print_count(out, alone->frees, "free");
		fputs(" of unknown blocks", out);
	}
	if (alone->unkept) {
		fputs("; not counted: ", out);
		print_count(out, alone->unkept, "block");
	}
	putc('\n', out);
}

/* An agent's counts are summed now and then: what was in use in between nobody has seen. */
bool report_peaks_are_seen(const struct snapshot *snapshot)
{
	return !strcmp(snapshot->engine, "agent");
}

static void print_engine(FILE *out, const struct snapshot *s)
{
	if (s->engine_reason[0]) {
		fputs("    engine trap, every call stopped: no agent, as ", out);
		utf8_print(out, s->engine_reason);
		putc('\n', out);
	}
	if (!report_peaks_are_seen(s))
		return;
	fputs("    counted in the process, by an agent", out);
	if (s->stopped_calls) {
		fputs("; stopped: ", out);
		print_count(out, s->stopped_calls, "call");
	}
	putc('\n', out);
}

/* "    sampled, a point each 64.0 KiB; not counted, below 100 bytes: 12 blocks" */
static void print_sampling(FILE *out, const struct snapshot *s)
{
	const struct snapshot_sampling *is = &s->sampling;

	if (is->coarsest) {
		fputs("    estimates: sampled, a point each ", out);
		print_count(out, is->coarsest, "byte");
		fputs(is->bytes == is->coarsest ? "\n" : " at the coarsest\n", out);
	}
	if (is->min_size) {
		fputs("    not counted, below ", out);
		print_count(out, is->min_size, "byte");
		fputs(": ", out);
		print_count(out, is->small, "block");
		putc('\n', out);
	}
}

void report_totals(const struct snapshot *snapshot, FILE *out)
{
	const struct region_totals *t = &snapshot->totals;

	fputs("    in use: ", out);
	sampling_about(out, snapshot);
	print_count(out, t->allocated_bytes - t->freed_bytes, "byte");
	fputs(" in ", out);
	print_count(out, t->allocs - t->frees, "block");
	print_size_beside(out, t->allocated_bytes - t->freed_bytes);
	fputs("\n    total heap usage: ", out);
	sampling_about(out, snapshot);
	print_count(out, t->allocs, "alloc");
	fputs(", ", out);
	print_count(out, t->frees, "free");
	fputs(", ", out);
	print_count(out, t->allocated_bytes, "byte");
	fputs(" allocated\n    peak: ", out);
	if (sampling_estimates(snapshot))
		sampling_about(out, snapshot);
	else
		fputs(report_peaks_are_seen(snapshot) ? "at least " : "", out);
	print_count(out, t->peak_bytes, "byte");
	print_size_beside(out, t->peak_bytes);
	putc('\n', out);
	print_engine(out, snapshot);
	print_inherited(out, snapshot);
	print_doubts(out, t);
	print_alone(out, snapshot);
	print_sampling(out, snapshot);
}

int report_status(const struct snapshot *snapshot, FILE *out)
{
	errno = 0;
	fputs("HEAP SUMMARY ", out);
	print_date(out, snapshot->taken.tv_sec);
	fputs("\n\n", out);
	report_totals(snapshot, out);
	return ferror(out) ? (errno ? -errno : -EIO) : 0;
}
