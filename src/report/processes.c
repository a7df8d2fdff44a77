/*
 * Of several processes: in text the reports one after the other, and who holds how much by program;
 * in JSON {"version", "processes": [each as the report on one process is]}.  (A page: export/html_pages.c)
 */
#include "report/processes.h"

#include <inttypes.h>
#include <string.h>

#include "report/print.h"
#include "report/report.h"
#include "report/utf8.h"

static bool is_first_of_its_name(const struct process_report *reports, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(reports[k].name, reports[i].name))
			return false;
	return true;
}

static void print_sum(const struct process_report *reports, size_t count, const char *name, FILE *out)
{
	uint64_t bytes = 0, blocks = 0;
	unsigned processes = 0;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(reports[i].name, name))
			continue;
		processes++;
		bytes += reports[i].bytes;
		blocks += reports[i].blocks;
	}
	fputs("    ", out);
	utf8_print(out, name);
	fputs(": ", out);
	print_count(out, bytes, "byte");
	fputs(" in ", out);
	print_count(out, blocks, "block");
	print_size_beside(out, bytes);
	if (processes > 1)
		fprintf(out, ", of %u processes", processes);
	putc('\n', out);
}

/* How many of those that may be left out have more than this one, the earlier of equals. */
static size_t rank(const struct process_report *reports, size_t count, size_t of)
{
	size_t before = 0;

	for (size_t i = 0; i < count; i++)
		if (reports[i].minor &&
		    (reports[i].bytes > reports[of].bytes || (reports[i].bytes == reports[of].bytes && i < of)))
			before++;
	return before;
}

void processes_text(const struct process_report *reports, size_t count, size_t most, FILE *out)
{
	uint64_t bytes = 0, blocks = 0;
	size_t left_out = 0;

	for (size_t i = 0; i < count; i++) {
		if (most && reports[i].minor && rank(reports, count, i) >= most) {
			left_out++;
			bytes += reports[i].bytes;
			blocks += reports[i].blocks;
			continue;
		}
		fwrite(reports[i].text, 1, reports[i].len, out);
		putc('\n', out);
	}
	if (!left_out)
		return;
	fprintf(out, "and %zu more process%s, with ", left_out, left_out == 1 ? "" : "es");
	print_count(out, bytes, "byte");
	fputs(" in ", out);
	print_count(out, blocks, "block");
	fputs(" in use (-n 0 shows all)\n\n", out);
}

void processes_sums(const struct process_report *reports, size_t count, FILE *out)
{
	fputs("IN USE BY PROGRAM\n\n", out);
	for (size_t i = 0; i < count; i++)
		if (is_first_of_its_name(reports, i))
			print_sum(reports, count, reports[i].name, out);
}

void processes_json(const struct process_report *reports, size_t count, FILE *out)
{
	fprintf(out, "{\"version\": %d, \"processes\": [", REPORT_JSON_VERSION);
	for (size_t i = 0; i < count; i++) {
		fputs(i ? ",\n" : "\n", out);
		fwrite(reports[i].text, 1, reports[i].len, out);
	}
	fputs("]}\n", out);
}
