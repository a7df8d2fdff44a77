/*
 * One document of all: in text the reports one after the other, and who holds how much by program;
 * in JSON {"version", "processes": [each as the report on one process is]}.
 */
#include <inttypes.h>
#include <string.h>

#include "cli/atomic_file.h"
#include "cli/several_parts.h"
#include "report/print.h"
#include "report/report.h"
#include "report/utf8.h"

struct sum {
	unsigned processes;
	uint64_t bytes, blocks;
};

/* .. of those that have a report. */
static bool is_first_of_its_name(const struct several *s, size_t i)
{
	if (!s->hands.at[i].text[HAND_REPORT].len)
		return false;
	for (size_t k = 0; k < i; k++)
		if (s->hands.at[k].text[HAND_REPORT].len &&
		    !strcmp(s->hands.at[k].name, s->hands.at[i].name))
			return false;
	return true;
}

static struct sum sum_of(const struct several *s, const char *name)
{
	struct sum sum = {0};

	for (size_t i = 0; i < s->hands.len; i++) {
		const struct region_totals *t = &s->hands.at[i].result->totals;

		if (!s->hands.at[i].text[HAND_REPORT].len || strcmp(s->hands.at[i].name, name))
			continue;
		sum.processes++;
		sum.bytes += t->allocated_bytes - t->freed_bytes;
		sum.blocks += t->live_blocks;
	}
	return sum;
}

static void print_sum(FILE *out, const char *name, const struct sum *sum)
{
	fputs("    ", out);
	utf8_print(out, name);
	fputs(": ", out);
	print_count(out, sum->bytes, "byte");
	fputs(" in ", out);
	print_count(out, sum->blocks, "block");
	print_size_beside(out, sum->bytes);
	if (sum->processes > 1)
		fprintf(out, ", of %u processes", sum->processes);
	putc('\n', out);
}

static void write_text(const struct several *s, FILE *out)
{
	for (size_t i = 0; i < s->hands.len; i++) {
		const struct hand_text *report = &s->hands.at[i].text[HAND_REPORT];

		if (report->len)
			fwrite(report->at, 1, report->len, out);
		if (report->len)
			putc('\n', out);
	}
	if (options_look_only(s->options)) /* nothing was followed */
		return;
	fputs("IN USE BY PROGRAM\n\n", out);
	for (size_t i = 0; i < s->hands.len; i++) {
		const struct sum sum = sum_of(s, s->hands.at[i].name);

		if (is_first_of_its_name(s, i))
			print_sum(out, s->hands.at[i].name, &sum);
	}
}

static void write_json(const struct several *s, FILE *out)
{
	bool any = false;

	fprintf(out, "{\"version\": %d, \"processes\": [", REPORT_JSON_VERSION);
	for (size_t i = 0; i < s->hands.len; i++) {
		const struct hand_text *report = &s->hands.at[i].text[HAND_REPORT];

		if (!report->len)
			continue;
		fputs(any ? ",\n" : "\n", out);
		fwrite(report->at, 1, report->len, out);
		any = true;
	}
	fputs("]}\n", out);
}

static void write_to(const struct several *s, FILE *out)
{
	if (s->options->format == REPORT_JSON)
		write_json(s, out);
	else
		write_text(s, out);
}

bool several_report(struct several *s)
{
	struct atomic_file file;
	struct err err;
	int rc;

	if (!s->options->output) {
		FILE *out = s->options->program ? stderr : stdout;

		write_to(s, out);
		return !fflush(out);
	}
	rc = atomic_file_open(s->options->output, &file, &err);
	if (!rc) {
		write_to(s, file.out);
		rc = atomic_file_close(&file, 0, &err);
	}
	if (rc) {
		output_warn(&s->output, "can't write %s: %s; the report goes to stderr",
			    s->options->output, err.text);
		write_to(s, stderr);
	}
	return !rc;
}
