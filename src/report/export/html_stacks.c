/*
 * The call stacks as a table that needs no script: a row each, its stack folded into <details>.
 * A browser can't hold 100 000 of them, so these are the first; all are in the data of the page
 * (html_data.c), of which its script makes a table of its own.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "heap/verdicts.h"
#include "report/evidence.h"
#include "report/export/html_parts.h"
#include "report/export/html_text.h"
#include "report/report.h"

enum { ROWS = 200 };

struct stacks {
	const struct exports *exports;
	FILE *out;
	uint32_t id;
	size_t rank;
};

/* The first line that is not only a way into the allocator. */
static bool write_where(struct stacks *h, const struct export_stack *stack)
{
	const struct exports *e = h->exports;
	const struct named_frame *f;
	struct names_line line;
	uint32_t folded;
	char *label;

	if (!stack->count) {
		html_print(h->out, stack->cut);
		return true;
	}
	f = exports_frame(e, stack->frames[exports_skipped(e, stack)]);
	folded = names_count_folded(e->names, f);
	line = names_line(e->names, f, folded < f->count ? folded : 0);
	label = exports_label(&line);
	if (label)
		html_print(h->out, label);
	free(label);
	return label != NULL;
}

static bool write_line(struct stacks *h, const struct named_frame *f, uint32_t k)
{
	struct names_line line = names_line(h->exports->names, f, k);
	char *place = exports_place(h->exports, &line);

	fputs(line.name.inlined ? "<li class=\"inlined\">" : "<li>", h->out);
	if (place)
		html_print(h->out, place);
	fputs(line.name.inlined ? " inlined\n" : "\n", h->out);
	free(place);
	return place != NULL;
}

static bool write_frames(struct stacks *h, const struct export_stack *stack)
{
	bool ok = true;

	fputs("<ol>\n", h->out);
	for (size_t i = 0; ok && i < stack->count; i++) {
		const struct named_frame *f = exports_frame(h->exports, stack->frames[i]);

		for (uint32_t k = 0; ok && k < f->count; k++)
			ok = write_line(h, f, k);
	}
	if (stack->cut[0]) {
		fputs("<li class=\"cut\">", h->out);
		html_print(h->out, stack->cut);
	}
	fputs("</ol>", h->out);
	return ok;
}

static const struct verdict *verdict(const struct stacks *h)
{
	return h->id ? verdicts_of(h->exports->snapshot->verdicts, h->id) : NULL;
}

static void write_verdict(FILE *out, const struct verdict *v)
{
	if (v)
		fprintf(out, "<td data-v=\"%d\"><b class=\"verdict-%d\">%s</b>", (int)v->word,
			(int)v->word, verdict_name(v->word));
	else
		fputs("<td data-v=\"-1\">", out);
}

/* (what it says may be from a file that somebody else wrote) */
static bool write_evidence(FILE *out, const struct verdict *v)
{
	struct html_words words;
	struct err err;

	if (!v)
		return true;
	if (html_words_begin(&words, &err))
		return false;
	evidence_print(words.side, v);
	return !html_words_paragraph(&words, "p", out, &err);
}

static bool write_row(struct stacks *h, const struct export_stack *stack)
{
	FILE *out = h->out;
	const struct verdict *v = verdict(h);
	bool ok;

	fputs("<tr>", out);
	html_cell_count(out, ++h->rank);
	html_cell_size(out, stack->bytes);
	html_cell_count(out, stack->blocks);
	html_cell_count(out, stack->counters.allocs);
	html_cell_size(out, stack->counters.peak_bytes);
	write_verdict(out, v);
	fputs("<td class=\"where\"><details><summary>", out);
	ok = write_where(h, stack);
	if (h->id)
		fprintf(out, " <small>#%" PRIu32 "</small>", h->id);
	fputs("</summary>", out);
	ok = ok && write_evidence(out, v) && write_frames(h, stack);
	fputs("</details>\n", out);
	return ok;
}

static void write_head(FILE *out, const struct snapshot *s)
{
	fputs("<table id=\"ranked\"><thead><tr><th>Rank<th>In use<th>Blocks<th>Allocations<th>Most ",
	      out);
	fputs(report_peaks_are_seen(s) ? "seen in use" : "in use", out);
	fputs("<th>Verdict<th>Allocated by\n<tbody>\n", out);
}

/* As exports_for_each() gives it, last. */
static bool write_left_out(struct stacks *h)
{
	const struct report_left_out *left_out = &h->exports->job->options->left_out;
	struct export_stack stack = {
		.counters = {.allocs = left_out->blocks, .peak_bytes = left_out->bytes},
		.bytes = left_out->bytes,
		.blocks = left_out->blocks,
		.cut = EXPORTS_LEFT_OUT,
	};

	h->id = 0;
	return !left_out->blocks || write_row(h, &stack);
}

/* Where not all have a row, it says how much of what is in use has none. */
static void say_others(const struct report_job *job, FILE *out)
{
	uint64_t bytes = 0;

	for (size_t i = ROWS; i < job->count; i++)
		bytes += report_in_use_bytes(&job->snapshot->contexts[job->ids[i]]);
	if (job->count <= ROWS)
		return;
	fprintf(out, "<p>The first %d of %zu call stacks; the others, with ", ROWS, job->count);
	html_size(out, bytes);
	fputs(" in use, are shown by the script of this page.</p>\n", out);
}

int html_stacks(const struct exports *exports, FILE *out, struct err *err)
{
	struct report_job *job = exports->job;
	struct stacks h = {.exports = exports, .out = out};
	struct export_stack stack;

	write_head(out, job->snapshot);
	for (size_t i = 0; i < job->count && i < ROWS; i++) {
		h.id = job->ids[i];
		if (exports_stack(exports, h.id, &stack) && !write_row(&h, &stack))
			return exports_no_memory(err);
		if (ferror(out))
			return report_check(out, err);
	}
	if (!write_left_out(&h))
		return exports_no_memory(err);
	fputs("</table>\n", out);
	say_others(job, out);
	return report_check(out, err);
}

void html_doubts(const struct exports *exports, struct html_doubts *ret)
{
	const struct report_job *job = exports->job;
	struct export_stack stack;

	*ret = (struct html_doubts){.stacks = job->options->left_out.blocks != 0};
	for (size_t i = 0; i < job->count; i++) {
		bool guessed = false;

		if (!exports_stack(exports, job->ids[i], &stack))
			continue;
		for (size_t k = 0; k < stack.count; k++)
			guessed |= (stack.frames[k] & FRAME_GUESS) != 0;
		ret->stacks++;
		ret->cut += stack.cut[0] && stack.count;
		ret->guessed += guessed;
	}
}
