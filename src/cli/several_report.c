/*
 * One document of all (report/processes.h).  Where each process has a file of its own (%p) the sums by
 * program alone are left to be said.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/atomic_file.h"
#include "cli/several_parts.h"
#include "cli/viewers.h"
#include "report/report.h"

enum { SECTIONS = 10 }; /* of children; they may be many, as of a shell script */

VEC_TYPE(process_reports, struct process_report);

bool hand_has_report(const struct several *s, const struct hand *hand)
{
	return s->options->output_each ? hand->result->reported : hand->text[HAND_REPORT].len != 0;
}

static void collect(const struct several *s, struct process_reports *ret)
{
	for (size_t i = 0; i < s->hands.len; i++) {
		const struct hand *hand = &s->hands.at[i];
		const struct region_totals *t = &hand->result->totals;
		const struct process_report one = {.pid = hand->target,
						   .name = hand->name,
						   .bytes = t->allocated_bytes - t->freed_bytes,
						   .blocks = t->live_blocks,
						   .minor = hand->born,
						   .text = hand->text[HAND_REPORT].at,
						   .len = hand->text[HAND_REPORT].len};

		if (hand_has_report(s, hand))
			(void)vec_push(ret, one); /* (there is room) */
	}
}

static void write_to(const struct several *s, const struct process_reports *reports, FILE *out)
{
	if (s->options->follow_behind) { /* as if it had been started alone */
		for (size_t i = 0; i < reports->len; i++)
			fwrite(reports->at[i].text, 1, reports->at[i].len, out);
		return;
	}
	switch (s->options->format) {
	case REPORT_JSON:
		processes_json(reports->at, reports->len, out);
		break;
	case REPORT_HTML:
		viewers_pages()(reports->at, reports->len, out);
		break;
	default:
		processes_text(reports->at, reports->len, s->options->count ? SECTIONS : 0, out);
		if (!options_look_only(s->options)) /* (which follows nothing) */
			processes_sums(reports->at, reports->len, out);
	}
}

static bool write_file(struct several *s, const struct process_reports *reports)
{
	struct atomic_file file;
	struct err err;
	int rc = atomic_file_open(s->options->output, &file, &err);

	if (!rc) {
		write_to(s, reports, file.out);
		rc = atomic_file_close(&file, 0, &err);
	}
	if (rc) {
		output_warn(&s->output, "can't write %s: %s; the report goes to stderr",
			    s->options->output, err.text);
		write_to(s, reports, stderr);
	}
	return !rc;
}

bool several_report(struct several *s)
{
	const struct options *o = s->options;
	FILE *shown = o->program ? stderr : stdout;
	struct process_reports reports = {0};
	bool written = vec_reserve(&reports, s->hands.len + 1);

	if (!written)
		output_warn(&s->output, "memory is short");
	collect(s, &reports);
	if (o->output_each && !o->quiet && !o->follow_behind && !options_look_only(o))
		processes_sums(reports.at, reports.len, shown);
	else if (!o->output)
		write_to(s, &reports, shown);
	else if (!o->output_each)
		written &= write_file(s, &reports);
	written &= !fflush(shown);
	vec_deinit(&reports);
	return written;
}
