/*
 * The text form: what a person reads in a terminal, from the summary to the
 * details, and what a script can grep.
 *
 *     Process 16563 (demo -x), watched for 12.4 s, ended
 *
 *                       bytes      blocks
 *     allocated           967         111
 *     freed               415          55
 *     in use              552          56
 *
 *     552 bytes in 56 blocks were not freed, from 3 call stacks; ...
 *
 *     #3  265 bytes in 5 blocks were not free (10 allocs, 5 frees)
 *         multimalloc() in /src/demo.c:28
 *
 *     HEAP SUMMARY ...
 *
 * Nothing is called a leak here: a block in use is a fact, a leak is a judgement.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "report/decode.h"
#include "report/job.h"
#include "report/utf8.h"

enum { COLUMNS = 80 };

/* ---- the head --------------------------------------------------------------- */

static void print_duration(FILE *out, const struct snapshot *s)
{
	double seconds = (double)(s->taken.tv_sec - s->started.tv_sec) +
			 (double)(s->taken.tv_nsec - s->started.tv_nsec) / 1e9;
	uint64_t whole = seconds > 0 ? (uint64_t)seconds : 0;

	if (seconds < 60)
		fprintf(out, "%.1f s", seconds > 0 ? seconds : 0);
	else if (whole < 3600)
		fprintf(out, "%" PRIu64 " min %" PRIu64 " s", whole / 60, whole % 60);
	else
		fprintf(out, "%" PRIu64 " h %" PRIu64 " min", whole / 3600, whole / 60 % 60);
}

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

static void print_header(FILE *out, const struct snapshot *s, bool verbose)
{
	fprintf(out, "Process %d", s->pid);
	if (s->command && *s->command) {
		fputs(" (", out);
		print_command(out, s, 30, verbose);
		putc(')', out);
	}
	fputs(", watched for ", out);
	print_duration(out, s);
	fputs(s->running ? "\n\n" : ", ended\n\n", out);
}

static void print_row(FILE *out, const char *what, uint64_t bytes, uint64_t blocks)
{
	fprintf(out, "    %-10s%16" PRIu64 "%12" PRIu64 "\n", what, bytes, blocks);
}

static void print_summary(FILE *out, const struct region_totals *t)
{
	fprintf(out, "    %-10s%16s%12s\n", "", "bytes", "blocks");
	print_row(out, "allocated", t->allocated_bytes, t->allocs);
	print_row(out, "freed", t->freed_bytes, t->frees);
	print_row(out, "in use", t->allocated_bytes - t->freed_bytes, t->allocs - t->frees);
	fprintf(out, "    %-10s%16" PRIu64 "\n\n", "at most", t->peak_bytes);
}

/* ---- the verdict ------------------------------------------------------------ */

/* A paragraph: broken at spaces so that it stays within 80 columns. */
static void print_wrapped(FILE *out, const char *text)
{
	size_t used = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (used && used + 1 + len > COLUMNS) {
			putc('\n', out);
			used = 0;
		} else if (used) {
			putc(' ', out);
			used++;
		}
		fwrite(text, 1, len, out);
		used += len;
		text += len + (text[len] == ' ');
	}
	putc('\n', out);
}

static void print_count(FILE *out, uint64_t count, const char *what)
{
	fprintf(out, "%" PRIu64 " %s%s", count, what, count == 1 ? "" : "s");
}

/* "from 3 call stacks; the largest holds 48 %." */
static void print_origin(FILE *out, const struct snapshot *s, uint64_t in_use)
{
	uint64_t largest = 0, users = 0;

	for (uint32_t id = 0; id < s->context_count; id++) {
		const struct region_context *c = &s->contexts[id];

		users += report_in_use_blocks(c) > 0;
		if (largest < report_in_use_bytes(c))
			largest = report_in_use_bytes(c);
	}
	fputs("from ", out);
	print_count(out, users, "call stack");
	if (users > 1 && in_use)
		fprintf(out, "; the largest holds %s%.0f%%",
			largest * 100 < in_use ? "less than " : "",
			largest * 100 < in_use ? 1 : 100.0 * (double)largest / (double)in_use);
	putc('.', out);
}

static void write_verdict(FILE *out, const struct snapshot *s)
{
	const struct region_totals *t = &s->totals;
	uint64_t bytes = t->allocated_bytes - t->freed_bytes;
	uint64_t blocks = t->allocs - t->frees;
	const char *watched = s->missed_count ? "by what memtrace followed"
					      : "while memtrace watched";

	if (s->blind) {
		fprintf(out,
			"No allocator %s: what the process allocates is not known.",
			s->missed_count ? "can be followed" : "was found");
	} else if (!t->allocs) {
		fprintf(out, "Nothing was allocated %s.", watched);
	} else if (!blocks) {
		fprintf(out, "All that was allocated %s has been freed.", watched);
	} else {
		print_count(out, bytes, "byte");
		fputs(" in ", out);
		print_count(out, blocks, "block");
		if (s->running)
			fprintf(out, " that %s allocated %s %s in use, ",
				blocks == 1 ? "was" : "were", watched,
				blocks == 1 ? "is" : "are");
		else
			fprintf(out, " %s not freed, ", blocks == 1 ? "was" : "were");
		print_origin(out, s, bytes);
	}
}

static void print_verdict(FILE *out, const struct report_job *job)
{
	const char *why = NULL;
	char *text = NULL;
	size_t len;
	FILE *side = open_memstream(&text, &len);

	if (!side)
		return;
	write_verdict(side, job->snapshot);
	if (job->resolver && !resolver_is_alive(job->resolver, &why)) {
		fputs(" Names are incomplete: ", side);
		utf8_print(side, why ? why : "memtrace-fs is gone");
		putc('.', side);
	}
	fclose(side);
	if (text)
		print_wrapped(out, text);
	free(text);
}

/* Debug files that are there but were not used, of modules whose names are missed. */
static void print_remarks(FILE *out, const struct report_job *job, const struct names *names)
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

/* ---- the contexts ----------------------------------------------------------- */

static double seconds_ago(const struct snapshot *s, uint32_t time)
{
	return time < s->ticks_now ? (double)(s->ticks_now - time) / 100 : 0;
}

static void print_context_head(FILE *out, const struct report_job *job, uint32_t id)
{
	const struct snapshot *s = job->snapshot;
	const struct region_context *c = &s->contexts[id];

	fprintf(out,
		"#%" PRIu32 "  %" PRIu64 " bytes in %" PRIu64 " blocks were not free (%" PRIu64
		" allocs, %" PRIu64 " frees)\n",
		id, report_in_use_bytes(c), report_in_use_blocks(c), c->allocs, c->frees);
	if ((job->options->verbose || job->options->context) && c->allocs)
		fprintf(out,
			"    %" PRIu64 " bytes allocated, at most %" PRIu64
			" in use; first %.2f s ago, last %.2f s ago\n",
			c->allocated_bytes, c->peak_bytes, seconds_ago(s, c->first_time),
			seconds_ago(s, c->last_time));
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
		fprintf(out, "    grown by %" PRIu64 " bytes since the last report\n",
			bytes - report_in_use_bytes(old));
	else if (blocks > report_in_use_blocks(old))
		fprintf(out, "    grown by %" PRIu64 " blocks since the last report\n",
			blocks - report_in_use_blocks(old));
}

/* The last frame's module, as the words about a stack's end name it. */
static void print_last_module(FILE *out, const struct snapshot *s, const frame_t *frames,
			      size_t count)
{
	const struct snapshot_module *m =
		count ? snapshot_module(s, frame_instance(frames[count - 1])) : NULL;
	const char *slash = m && m->path ? strrchr(m->path, '/') : NULL;

	utf8_print(out, m && m->path ? (slash ? slash + 1 : m->path) : "the last frame");
}

/* Why the stack ends where it does, and what to do about it. */
static void print_end(FILE *out, const struct report_job *job, const frame_t *frames,
		      size_t count, enum walk_end end)
{
	size_t depth = job->options->depth ? job->options->depth : count;

	if (end == WALK_ROOT)
		return;
	fputs("    ... ", out);
	switch (end) {
	case WALK_DEPTH:
		fprintf(out, "stack cut: deeper than %zu frames (%s)", depth,
			depth < REPORT_MAX_FRAMES ? "-s N keeps more" : "the maximum");
		break;
	case WALK_NO_DATA:
		fputs("no unwind data in ", out);
		print_last_module(out, job->snapshot, frames, count);
		fputs(": install its debug package or give --debug-dir", out);
		break;
	case WALK_NO_MODULE:
		fputs("stack ends in generated code, which has no unwind data", out);
		break;
	case WALK_UNREADABLE:
		fputs("stack ends here: the memory beyond can't be read", out);
		break;
	case WALK_LOOP:
		fputs("stack ends here: it is damaged, or the unwind data of ", out);
		print_last_module(out, job->snapshot, frames, count);
		fputs(" is wrong", out);
		break;
	case WALK_NO_CODE:
		fputs("stack ends here: what follows is no code address", out);
		break;
	case WALK_LOST:
		fputs("call stacks that memtrace had no memory to keep", out);
		break;
	default:
		fputs("stack ends here for a reason unknown", out);
		break;
	}
	putc('\n', out);
}

static void print_entry(FILE *out, const struct names *names, const struct names_entry *entry,
			unsigned skip)
{
	const char *text = names_text(names, entry);
	const char *end = text + entry->len;

	for (; skip; skip--)
		text = (const char *)memchr(text, '\n', (size_t)(end - text)) + 1;
	fwrite(text, 1, (size_t)(end - text), out);
}

/* How many frames from the leaf on are allocators alone; 0 if the whole stack is. */
static size_t count_folded(const struct names *names, const frame_t *frames, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct names_entry *entry = names_find(names, frames[i]);

		if (!entry || !entry->all_folded)
			return i;
	}
	return 0;
}

static void print_stack(FILE *out, const struct report_job *job, const struct names *names,
			uint32_t id)
{
	bool whole = job->options->verbose || job->options->context ||
		     job->options->decodable;
	frame_t frames[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(job->snapshot, id, frames, ARRAY_SIZE(frames), &end);
	size_t folded = whole ? 0 : count_folded(names, frames, count);

	for (size_t i = folded; i < count; i++) {
		const struct names_entry *entry = names_find(names, frames[i]);
		bool first = i == folded && !whole;

		if (entry)
			print_entry(out, names, entry,
				    first && !entry->all_folded ? entry->folded : 0);
	}
	print_end(out, job, frames, count, end);
}

static int print_contexts(FILE *out, struct report_job *job, const struct names *names,
			  struct err *err)
{
	int failed = 0;

	for (size_t i = 0; i < job->shown && !failed; i++) {
		if (!job->options->context)
			putc('\n', out);
		print_context_head(out, job, job->ids[i]);
		print_growth(out, job, job->ids[i]);
		print_stack(out, job, names, job->ids[i]);
		progress_step(&job->progress, "writing", i, job->shown);
		failed = report_check(out, err);
	}
	return failed;
}

static void print_left_out(FILE *out, const struct report_job *job)
{
	uint64_t bytes = 0, blocks = 0;

	if (job->shown == job->count)
		return;
	for (size_t i = job->shown; i < job->count; i++) {
		bytes += report_in_use_bytes(&job->snapshot->contexts[job->ids[i]]);
		blocks += report_in_use_blocks(&job->snapshot->contexts[job->ids[i]]);
	}
	fputs("\nand ", out);
	print_count(out, job->count - job->shown, "more call stack");
	fprintf(out, ", %" PRIu64 " bytes in %" PRIu64 " blocks (-n 0 shows all)\n", bytes,
		blocks);
}

int text_write(struct report_job *job, FILE *out, struct err *err)
{
	const struct report_options *options = job->options;
	struct names *names;
	int failed =
		names_create(job->snapshot, job->resolver, job->symbols, job->ids, job->shown,
			     &job->progress, frames_render, (void *)options, &names, err);

	if (failed)
		return failed;
	if (!options->context) {
		print_header(out, job->snapshot, options->verbose);
		print_summary(out, &job->snapshot->totals);
		print_verdict(out, job);
		not_followed_text(job->snapshot, out);
		print_remarks(out, job, names);
	}
	failed = print_contexts(out, job, names, err);
	if (!failed && !options->context) {
		print_left_out(out, job);
		if (options->decodable) {
			decode_write_modules(job->snapshot, out);
		} else if (options->verbose) {
			fputs("\nMODULES\n\n", out);
			report_modules(job->snapshot, job->resolver, out);
		}
		putc('\n', out);
		report_status(job->snapshot, out);
		failed = report_check(out, err);
	}
	names_destroy(names);
	return failed;
}
