/*
 * The text form: what a person reads in a terminal, and what a script can grep.
 *
 *     Process 16563 (demo -x), watched for 12.4 s, ended
 *
 *     What 3 call stacks allocated was not freed; the largest holds 48%.
 *
 *     1. #7  265 bytes in 5 blocks were not free (48%)
 *         10 allocs, 5 frees
 *         multimalloc() in /src/demo.c:28
 *
 *     HEAP SUMMARY ...
 *
 * A block in use is a fact, a leak is a judgement: it is said with what it rests on.
 */
#include <inttypes.h>
#include <string.h>

#include "base/scope.h"
#include "heap/births.h"
#include "heap/verdicts.h"
#include "report/evidence.h"
#include "report/head.h"
#include "report/leaks.h"
#include "report/named.h"
#include "report/print.h"
#include "report/sampling.h"
#include "report/start_up.h"
#include "report/utf8.h"

static double seconds_ago(const struct snapshot *s, uint32_t time)
{
	return time < s->ticks_now ? (double)(s->ticks_now - time) / 100 : 0;
}

/* " (5.6 MiB, 48%)": as far as that says more than the bytes do. */
static void print_share(FILE *out, const struct snapshot *s, uint64_t bytes)
{
	uint64_t in_use = s->totals.allocated_bytes - s->totals.freed_bytes;

	if (!bytes)
		return;
	fputs(" (", out);
	if (print_size(out, bytes))
		fputs(", ", out);
	print_percent(out, bytes, in_use);
	putc(')', out);
}

/* Where there is one; that there is none yet, only of what is asked for. */
void text_verdict(FILE *out, const struct report_job *job, uint32_t id)
{
	const struct verdict *v = verdicts_of(job->snapshot->verdicts, id);
	bool asked = job->options->verbose || job->options->context;
	scope_free char *text = NULL;
	FILE *side;
	size_t len;

	if (!v || (v->word == VERDICT_TOO_EARLY && !asked))
		return;
	side = open_memstream(&text, &len);
	if (!side)
		return;
	fprintf(side, "%s: ", verdict_name(v->word));
	evidence_print(side, v);
	fclose(side);
	if (text)
		print_indented(out, text, 4);
}

static void print_ages(FILE *out, const struct report_job *job, uint32_t id)
{
	const struct report_options *options = job->options;
	const struct births_span *old = options->old && id < options->old_count ? &options->old[id] : NULL;

	if (!old)
		return;
	fputs("    ", out);
	if (old->unsure)
		fprintf(out, "%" PRIu32 " to ", old->sure);
	print_count(out, old->sure + old->unsure, "block");
	fprintf(out, " %s allocated at least %g s ago\n",
		old->sure + old->unsure == 1 ? "was" : "were",
		(double)options->min_age_ms / 1000);
}

/* What they are sorted by, where nothing else says it. */
static void print_order(FILE *out, const struct report_job *job, const struct region_context *c)
{
	const struct snapshot *s = job->snapshot;

	if (!c->allocs)
		return;
	if (job->options->order == SNAPSHOT_BY_AGE)
		fprintf(out, "; the last %.2f s ago", seconds_ago(s, c->last_time));
	else if (job->options->order == SNAPSHOT_BY_RATE)
		fprintf(out, "; %.1f allocs/s since its first",
			(double)c->allocs / (seconds_ago(s, c->first_time) + 0.01));
}

/* "#7  265 bytes in 5 blocks were not free (48%)": the id is its own for the whole session,
 * the rank before it is of this report. */
static void print_context_head(FILE *out, const struct report_job *job, size_t rank)
{
	const struct snapshot *s = job->snapshot;
	uint32_t id = job->ids[rank];
	const struct region_context *c = &s->contexts[id];

	if (!job->options->context)
		fprintf(out, "%zu. ", rank + 1);
	if (job->options->context && job->mapped_count && !c->allocs) {
		mapped_head(out, job->mapped);
		return;
	}
	fprintf(out, "#%" PRIu32 "  ", id);
	sampling_about(out, s);
	print_count(out, report_in_use_bytes(c), "byte");
	fputs(" in ", out);
	print_count(out, report_in_use_blocks(c), "block");
	fputs(" were not free", out);
	print_share(out, s, report_in_use_bytes(c));
	fputs("\n    ", out);
	sampling_about(out, s);
	print_count(out, c->allocs, "alloc");
	fputs(", ", out);
	print_count(out, c->frees, "free");
	print_order(out, job, c);
	putc('\n', out);
	if (start_up_has(job->start_up, id))
		fputs("    of starting up: every program has such blocks\n", out);
	text_verdict(out, job, id);
	print_ages(out, job, id);
	if (job->options->findings)
		leaks_of_context(out, job, id);
	if ((job->options->verbose || job->options->context) && c->allocs)
		fprintf(out,
			"    %s%" PRIu64 " bytes allocated, at %s %" PRIu64
			" in use; first %.2f s ago, last %.2f s ago\n",
			sampling_estimates(s) ? "about " : "", c->allocated_bytes,
			sampling_estimates(s)	  ? "most about"
			: report_peaks_are_seen(s) ? "times at least"
						   : "most",
			c->peak_bytes, seconds_ago(s, c->first_time),
			seconds_ago(s, c->last_time));
}

static void print_grown(FILE *out, const struct snapshot *s, uint64_t by, const char *what)
{
	fputs("    grown by ", out);
	sampling_about(out, s);
	print_count(out, by, what);
	fputs(" since the last report\n", out);
}

/* What is new or has grown since the report before; nothing where the statistics
 * began anew between. */
static void print_growth(FILE *out, const struct report_job *job, uint32_t id)
{
	const struct snapshot *s = job->snapshot, *before = job->options->before;
	const struct region_context *c = &s->contexts[id], *old;
	uint64_t bytes = report_in_use_bytes(c), blocks = report_in_use_blocks(c);

	if (!before || before->pid != s->pid || before->started.tv_sec != s->started.tv_sec ||
	    before->started.tv_nsec != s->started.tv_nsec)
		return;
	old = id < before->context_count ? &before->contexts[id] : NULL;
	if (!old || !old->allocs)
		fputs("    new since the last report\n", out);
	else if (bytes > report_in_use_bytes(old))
		print_grown(out, s, bytes - report_in_use_bytes(old), "byte");
	else if (blocks > report_in_use_blocks(old))
		print_grown(out, s, blocks - report_in_use_blocks(old), "block");
}

static int print_contexts(FILE *out, struct report_job *job, const struct named *names,
			  struct err *err)
{
	int failed = 0;

	for (size_t i = 0; i < job->shown && !failed; i++) {
		if (!job->options->context)
			putc('\n', out);
		print_context_head(out, job, i);
		print_growth(out, job, job->ids[i]);
		text_stack(out, job, names, job->ids[i]);
		if (progress_step(&job->progress, "writing", i, job->shown))
			failed = report_check(out, err);
		else
			failed = progress_cancelled(err);
	}
	return failed;
}

static void print_left_out(FILE *out, const struct report_job *job)
{
	const struct report_left_out sum = report_left_out(job);

	if (!sum.contexts)
		return;
	fputs("\nand ", out);
	print_count(out, sum.contexts, "more call stack");
	fputs(", ", out);
	sampling_about(out, job->snapshot);
	print_count(out, sum.bytes, "byte");
	fputs(" in ", out);
	print_count(out, sum.blocks, "block");
	fputs(job->options->left_out.contexts ? "\n" : " (-n 0 shows all)\n", out);
}

static void print_filter(FILE *out, const struct report_options *options)
{
	fputs("\nOnly call stacks ", out);
	if (options->in) {
		fputs("through ", out);
		utf8_print(out, options->in);
	}
	if (options->not_in) {
		fputs(options->in ? ", not through " : "not through ", out);
		utf8_print(out, options->not_in);
	}
	fputs(" are shown; the totals are of all.\n", out);
}

int text_write(struct report_job *job, FILE *out, struct err *err)
{
	const struct report_options *options = job->options;
	struct named named;
	int failed = named_create(job, frames_render, &named, err);

	if (failed)
		return failed;
	if (options->findings && options->leaks_only && options->leaks_title)
		head_title(out, job->snapshot, options->verbose);
	if (options->findings && !options->findings_earlier && !options->context)
		leaks_head(out, job);
	if (!options->context && !options->leaks_only)
		head_print(out, job, named.names);
	if (options->findings && options->findings_earlier && !options->context)
		leaks_head(out, job);
	if (!options->context && (options->in || options->not_in))
		print_filter(out, options);
	failed = print_contexts(out, job, &named, err);
	if (!failed && options->findings && !options->context)
		leaks_before(out, job);
	if (!failed && options->leaks_only)
		failed = report_check(out, err);
	else if (!failed && !options->context) {
		print_left_out(out, job);
		mapped_text(out, job, &named);
		if (options->verbose) {
			fputs("\nMODULES\n\n", out);
			report_modules(job->snapshot, job->resolver, out);
		}
		putc('\n', out);
		report_status(job->snapshot, out);
		failed = report_check(out, err);
	}
	named_destroy(&named);
	return failed;
}
