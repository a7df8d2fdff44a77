/*
 * The course as pictures that need no script: in use and RSS, each on a scale of its own from 0
 * (RSS may be a hundred times what is in use, and both would be flat on one), and the numbers as
 * a table.
 *
 *     2.0 MiB |          __/
 *     1.0 MiB |    _____/
 *           0 |___/____________
 *              0 s         120 s
 */
#include <inttypes.h>

#include "report/export/html_parts.h"
#include "report/export/html_text.h"

enum { POINTS = 240, LINES = 24, LEFT = 80, TOP = 12, WIDTH = 700, HEIGHT = 120 };

static uint64_t value_of(const struct course_row *row, bool resident)
{
	return resident ? row->point.resident : row->point.in_use;
}

static void write_scale(FILE *out, uint64_t most, double seconds)
{
	for (unsigned i = 0; i < 3; i++) {
		unsigned y = TOP + HEIGHT * i / 2;

		fprintf(out,
			"<line class=\"grid\" x1=\"%d\" y1=\"%u\" x2=\"%d\" y2=\"%u\"/>"
			"<text x=\"%d\" y=\"%u\" text-anchor=\"end\">",
			LEFT, y, LEFT + WIDTH, y, LEFT - 6, y + 4);
		html_size(out, i ? (2 - i) * (most / 2) : most);
		fputs("</text>\n", out);
	}
	fprintf(out,
		"<text x=\"%d\" y=\"%d\">0 s</text>"
		"<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.0f s</text>\n",
		LEFT, TOP + HEIGHT + 16, LEFT + WIDTH, TOP + HEIGHT + 16, seconds);
}

/* Where a value is not known the line is broken. */
static void write_line(FILE *out, const struct course_row *rows, size_t count, bool resident,
		       uint64_t most)
{
	double seconds = rows[count - 1].seconds;
	bool drawing = false;

	fprintf(out, "<path class=\"%s\" d=\"", resident ? "rss" : "use");
	for (size_t i = 0; i < count; i++) {
		uint64_t value = value_of(&rows[i], resident);
		bool known = value || !resident;

		if (known)
			fprintf(out, "%c%.1f %.1f", drawing ? 'L' : 'M',
				LEFT + WIDTH * rows[i].seconds / seconds,
				TOP + HEIGHT * (1 - (double)value / (double)most));
		drawing = known;
	}
	fputs("\"/>\n", out);
}

static void write_chart(FILE *out, const struct course_row *rows, size_t count, bool resident)
{
	uint64_t most = 0;

	for (size_t i = 0; i < count; i++)
		if (most < value_of(&rows[i], resident))
			most = value_of(&rows[i], resident);
	if (!most)
		return;
	fprintf(out,
		"<figure><figcaption>%s</figcaption>\n"
		"<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s over time\">\n",
		resident ? "Resident memory (RSS)" : "In use", LEFT + WIDTH + 10,
		TOP + HEIGHT + 24, resident ? "Resident memory" : "Bytes in use");
	write_scale(out, most, rows[count - 1].seconds);
	write_line(out, rows, count, resident, most);
	fputs("</svg></figure>\n", out);
}

static void write_known(FILE *out, uint64_t bytes)
{
	if (bytes)
		html_cell_size(out, bytes);
	else
		html_cell_text(out, "not known");
}

static void write_numbers(FILE *out, const struct course *course)
{
	struct course_row rows[LINES];
	size_t count = course_rows(course, LINES, rows);

	fputs("<details><summary>The same in numbers</summary>\n<table><thead><tr>"
	      "<th>Seconds<th>In use<th>Most in use<th>Allocations<th>Frees<th>RSS<th>Allocators have"
	      "<tbody>\n",
	      out);
	for (size_t i = 0; i < count; i++) {
		const struct course_point *point = &rows[i].point;

		fprintf(out, "<tr><td>%.1f", rows[i].seconds);
		html_cell_size(out, point->in_use);
		html_cell_size(out, point->most_in_use);
		html_cell_count(out, rows[i].allocs);
		html_cell_count(out, rows[i].frees);
		write_known(out, point->resident);
		write_known(out, point->obtained);
		putc('\n', out);
	}
	fputs("</table></details>\n", out);
}

bool html_charts(const struct course *course, FILE *out)
{
	struct course_row rows[POINTS];
	size_t count = course ? course_rows(course, POINTS, rows) : 0;

	if (count < 2 || rows[count - 1].seconds <= 0)
		return false;
	write_chart(out, rows, count, false);
	write_chart(out, rows, count, true);
	write_numbers(out, course);
	return true;
}
