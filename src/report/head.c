/*
 * How a report begins: which process, watched for how long, and a sentence of verdict, which
 * leaves the totals to the HEAP SUMMARY at its end.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "heap/verdicts.h"
#include "report/evidence.h"
#include "report/head.h"
#include "report/print.h"
#include "report/sampling.h"
#include "report/start_up.h"
#include "report/utf8.h"

/* Without the blanks that setproctitle() leaves behind it. */
static void print_argument(FILE *out, const char *argument)
{
	size_t len = strlen(argument);
	scope_free char *shown = NULL;

	while (len && argument[len - 1] == ' ')
		len--;
	shown = strndup(argument, len);
	if (shown)
		utf8_print(out, shown);
}

/* The command, as many whole arguments as fit in `columns`; all with -v. */
static void print_command(FILE *out, const struct snapshot *s, size_t columns, bool verbose)
{
	size_t used = 0;

	for (char **arg = s->command; arg && *arg; arg++) {
		size_t len = utf8_columns(*arg) + (arg != s->command);

		if (!verbose && arg != s->command && used + len > columns) {
			fputs(" ...", out);
			return;
		}
		if (arg != s->command)
			putc(' ', out);
		print_argument(out, *arg);
		used += len;
	}
}

static void print_process(FILE *out, const struct snapshot *s, bool verbose)
{
	fprintf(out, "Process %d", s->pid);
	if (s->command && *s->command) {
		fputs(" (", out);
		print_command(out, s, 30, verbose);
		putc(')', out);
	}
}

void head_title(FILE *out, const struct snapshot *s, bool verbose)
{
	print_process(out, s, verbose);
	fputs("\n\n", out);
}

void head_process(FILE *out, const struct snapshot *s, bool verbose)
{
	print_process(out, s, verbose);
	fputs(", watched for ", out);
	print_duration(out, report_seconds(s));
	fputs(s->running ? "\n\n" : ", ended\n\n", out);
}

/* "; the largest holds 48%" */
static void print_largest(FILE *out, const struct snapshot *s, const struct start_up *start_up,
			  uint64_t users)
{
	uint64_t in_use = s->totals.allocated_bytes - s->totals.freed_bytes -
			  (start_up ? start_up->bytes : 0);
	uint64_t largest = 0;

	if (users < 2 || !in_use)
		return;
	for (uint32_t id = 0; id < s->context_count; id++)
		if (largest < report_in_use_bytes(&s->contexts[id]) && !start_up_has(start_up, id))
			largest = report_in_use_bytes(&s->contexts[id]);
	fputs("; the largest holds ", out);
	print_percent(out, largest, in_use);
}

/* Claims no more than was watched. */
static const char *watched(const struct snapshot *s)
{
	return s->missed_count ? "by what memtrace followed" : "while memtrace watched";
}

static void print_users(FILE *out, const struct snapshot *s, const struct start_up *start_up,
			const struct report_left_out *left_out)
{
	uint64_t users = 0;

	for (uint32_t id = 0; id < s->context_count; id++)
		users += report_in_use_blocks(&s->contexts[id]) > 0 && !start_up_has(start_up, id);
	users += left_out->contexts < left_out->blocks ? left_out->contexts : left_out->blocks;
	fputs("What ", out);
	print_count(out, users, "call stack");
	fprintf(out, " allocated %s %s", watched(s),
		s->running ? "is in use" : "was not freed");
	print_largest(out, s, start_up, users);
	putc('.', out);
}

/* What every program has. */
static void print_start_up(FILE *out, const struct start_up *start_up)
{
	if (!start_up || !start_up->blocks)
		return;
	fputs(" Not counted in that: ", out);
	print_count(out, start_up->bytes, "byte");
	fputs(" in ", out);
	print_count(out, start_up->blocks, "block");
	fputs(" of starting up, which every program has.", out);
}

/* First of all.  Too early: that tells nothing of what has ended soon, or was not followed. */
static void write_growth(FILE *out, const struct snapshot *s)
{
	const struct verdict *v = s->verdicts ? &s->verdicts->process : NULL;
	bool soon = report_seconds(s) < VERDICT_MIN_SECONDS;
	const char *name;

	if (!v || (v->word == VERDICT_TOO_EARLY && soon && (!s->running || s->no_allocator)))
		return;
	name = verdict_name(v->word);
	fprintf(out, "%c%s: ", name[0] - 'a' + 'A', name + 1);
	evidence_print(out, v);
	fputs(". ", out);
}

static void write_verdict(FILE *out, const struct report_job *job)
{
	const struct snapshot *s = job->snapshot;
	uint64_t known = job->start_up ? job->start_up->blocks : 0;

	if (s->no_allocator)
		fprintf(out, "No allocator %s: what the process allocates is not known.",
			s->missed_count ? "can be followed" : "was found");
	else if (!s->totals.allocs)
		fprintf(out, "Nothing was allocated %s.", watched(s));
	else if (s->totals.allocs - s->totals.frees == known)
		fprintf(out, "All that was allocated %s has been freed.", watched(s));
	else
		print_users(out, s, job->start_up, &job->options->left_out);
	print_start_up(out, job->start_up);
}

void head_verdict(FILE *out, const struct report_job *job)
{
	const char *why = NULL;
	scope_free char *text = NULL;
	size_t len;
	FILE *side = open_memstream(&text, &len);

	if (!side)
		return;
	write_growth(side, job->snapshot);
	write_verdict(side, job);
	if (job->resolver && !resolver_is_alive(job->resolver, &why)) {
		fputs(" Names are incomplete: ", side);
		utf8_print(side, why ? why : "memtrace-fs is gone");
		putc('.', side);
	}
	fclose(side);
	if (text)
		print_wrapped(out, text);
}

/* Where the runtime of a language hides what is looked for. */
static void print_runtime(FILE *out, const struct snapshot *s, bool said)
{
	scope_free char *text = NULL;

	if (s->own_heap && !said)
		print_wrapped(out, s->own_heap);
	if (s->generated_advice &&
	    asprintf(&text, "Names of generated code: %s.", s->generated_advice) >= 0)
		print_wrapped(out, text);
}

/* Debug files that are there but were not used, of modules whose names are missed. */
void head_remarks(FILE *out, const struct report_job *job, const struct names *names)
{
	for (size_t i = 0; job->resolver && i < job->snapshot->module_count; i++) {
		uint32_t instance = (uint32_t)i + 1;
		const char *remark = names_are_missing(names, instance)
					     ? resolver_remark(job->resolver, instance)
					     : NULL;

		if (remark) {
			fputs("Names are missing: ", out);
			utf8_print(out, remark);
			putc('\n', out);
		}
	}
}

void head_print(FILE *out, const struct report_job *job, const struct names *names)
{
	bool said;

	head_process(out, job->snapshot, job->options->verbose);
	head_verdict(out, job);
	sampling_paragraph(out, job->snapshot);
	said = head_growth(out, job->snapshot);
	not_followed_text(job->snapshot, out);
	left_behind_text(job->snapshot, out);
	print_runtime(out, job->snapshot, said);
	head_remarks(out, job, names);
}
