/*
 * What changed between two marks, as text: the call stacks that have more in use than before,
 * grown by most bytes first.
 *
 *     From a to now: 12.4 s. 2 call stacks have more in use: +265 bytes in +5 blocks.
 *
 *     1. #7  +240 bytes in +4 blocks
 *         10 born, 6 died, 5 survived
 *         leaks: 30 of 30 generations kept 3.0% of their blocks; ...
 *         in use until now: |  .:-=+**##@|
 *         multimalloc() in /src/demo.c:28
 *
 *     In all +265 bytes in +5 blocks: 31 born, 26 died
 *
 * A rate an hour is said from a minute on: what a few seconds would be in an hour nobody knows.
 */
#include <inttypes.h>

#include "base/scope.h"
#include "heap/marks.h"
#include "report/named.h"
#include "report/print.h"
#include "report/sampling.h"
#include "report/utf8.h"

enum { RATE_FROM_SECONDS = 60 };

static void print_change(FILE *out, int64_t change, const char *what)
{
	putc(change < 0 ? '-' : '+', out);
	print_count(out, change < 0 ? -(uint64_t)change : (uint64_t)change, what);
}

static void print_both(FILE *out, const struct diff_context *d)
{
	print_change(out, d->bytes, "byte");
	fputs(" in ", out);
	print_change(out, d->blocks, "block");
}

static void print_rate(FILE *out, const struct diff *diff, int64_t bytes)
{
	if (diff->apart || diff->seconds < RATE_FROM_SECONDS || bytes <= 0)
		return;
	fputs(", ", out);
	print_count(out, (uint64_t)((double)bytes * 3600 / diff->seconds), "byte");
	fputs(" an hour", out);
}

/* Of two captures, the blocks of one are not those of the other. */
static void print_moved(FILE *out, const struct diff *diff, const struct diff_context *d,
			const char *before)
{
	if (diff->apart)
		return;
	fputs(before, out);
	fprintf(out, "%" PRIu64 " born, %" PRIu64 " died", d->born, d->died);
	if (d->survived_most != UINT64_MAX) {
		fprintf(out, ", %" PRIu64, d->survived_least);
		if (d->survived_most != d->survived_least)
			fprintf(out, " to %" PRIu64, d->survived_most);
		fputs(" survived", out);
	}
	putc('\n', out);
}

void diff_head(FILE *out, const struct diff *diff)
{
	struct diff_context sum = {0};

	for (size_t i = 0; i < diff->grown; i++) {
		sum.bytes += diff->at[i].bytes;
		sum.blocks += diff->at[i].blocks;
	}
	fputs("From ", out);
	utf8_print(out, diff->from);
	fputs(" to ", out);
	utf8_print(out, diff->to);
	if (diff->apart)
		fputs(", another capture. ", out);
	else
		fprintf(out, ": %.1f s. ", diff->seconds);
	if (!diff->grown) {
		fputs("No call stack has more in use than before.", out);
		return;
	}
	print_count(out, diff->grown, "call stack");
	fputs(diff->grown == 1 ? " has more in use: " : " have more in use: ", out);
	print_both(out, &sum);
	print_rate(out, diff, sum.bytes);
	putc('.', out);
}

static void print_head(FILE *out, const struct diff *diff)
{
	scope_free char *text = NULL;
	size_t len;
	FILE *side = open_memstream(&text, &len);

	if (!side)
		return;
	diff_head(side, diff);
	fclose(side);
	if (text)
		print_wrapped(out, text);
}

static int print_contexts(FILE *out, struct report_job *job, const struct named *named,
			  struct err *err)
{
	const struct diff *diff = job->options->diff;
	const struct diff_context *d = diff->at;
	int failed = 0;

	for (size_t i = 0; i < job->shown && !failed; i++) {
		while (d->id != job->ids[i]) /* (of which some may be left out) */
			d++;

		fprintf(out, "\n%zu. #%" PRIu32 "  ", i + 1, d->id);
		print_both(out, d);
		print_rate(out, diff, d->bytes);
		putc('\n', out);
		print_moved(out, diff, d, "    ");
		text_verdict(out, job, d->id);
		sparkline_print(out, job, d->id);
		text_stack(out, job, named, d->id);
		if (progress_step(&job->progress, "writing", i, job->shown))
			failed = report_check(out, err);
		else
			failed = progress_cancelled(err);
	}
	return failed;
}

int diff_write(struct report_job *job, FILE *out, struct err *err)
{
	const struct diff *diff = job->options->diff;
	struct named named;
	int failed = named_create(job, frames_render, &named, err);

	if (failed)
		return failed;
	sampling_line(out, job->snapshot);
	print_head(out, diff);
	failed = print_contexts(out, job, &named, err);
	if (!failed && job->shown < job->count) {
		fputs("\nand ", out);
		print_count(out, job->count - job->shown, "more call stack");
		fputs(" (-n 0 shows all)\n", out);
	}
	if (!failed) {
		fputs("\nIn all ", out);
		print_both(out, &diff->total);
		print_moved(out, diff, &diff->total, ": ");
		if (diff->apart)
			putc('\n', out);
		failed = report_check(out, err);
	}
	named_destroy(&named);
	return failed;
}
