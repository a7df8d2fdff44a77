/*
 * The course of a capture as a table with bars, in 7-bit characters:
 *
 *         time    in use    blocks  allocs/s   frees/s       RSS
 *      0:00:00      1.2K        12         -         -      3.4M |##
 *      0:01:00     12.0K       120      40.0      38.2      3.4M |################
 *
 *     mapped for data, allocators' and others': 5.4M now, at most 6.0M
 *     of that, the allocators have: 4.1M now, at most 4.9M
 *     60 samples in 60 points; PSS 3.1M now
 *     grows: 41.0 KiB an hour (38.2 KiB to 44.1 KiB)
 *
 * A bar is the most that was in use in its span of time, of the most at all.
 */
#include <errno.h>
#include <inttypes.h>

#include "report/evidence.h"
#include "report/print.h"
#include "report/report.h"

enum { BAR = 16, MAX_ROWS = 200 };

static void print_rate(FILE *out, uint64_t count, double seconds)
{
	if (seconds > 0)
		fprintf(out, " %9.1f", (double)count / seconds);
	else
		fputs("         -", out);
}

static void print_row(FILE *out, const struct course_row *row, uint64_t most)
{
	const struct course_point *p = &row->point;
	unsigned long s = (unsigned long)row->seconds;
	int bar = most ? (int)((double)p->most_in_use * BAR / (double)most + 0.5) : 0;

	fprintf(out, "%6lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
	print_short(out, p->in_use);
	fprintf(out, " %9" PRIu64, p->allocs - p->frees);
	print_rate(out, row->allocs, row->span);
	print_rate(out, row->frees, row->span);
	print_short_known(out, p->resident);
	fprintf(out, " |%.*s\n", bar, "################");
}

static uint64_t mapped_of(const struct course_point *point)
{
	return point->mapped;
}

static uint64_t obtained_of(const struct course_point *point)
{
	return point->obtained;
}

/* False: nobody knows it now. */
static bool print_most(FILE *out, const struct course *course, const char *what,
		       uint64_t (*value)(const struct course_point *point))
{
	char now[PRINT_SHORT_SIZE], most[PRINT_SHORT_SIZE];
	uint64_t last = course->count ? value(&course->points[course->count - 1]) : 0, bytes = 0;

	if (!last)
		return false;
	for (size_t i = 0; i < course->count; i++)
		if (value(&course->points[i]) > bytes)
			bytes = value(&course->points[i]);
	fprintf(out, "%s: %s now, at most %s\n", what, print_short_text(last, now),
		print_short_text(bytes, most));
	return true;
}

/* What an allocator does not give back is seen by that. */
static void print_mapped(FILE *out, const struct course *course)
{
	if (print_most(out, course, "mapped for data, allocators' and others'", mapped_of) &&
	    !print_most(out, course, "of that, the allocators have", obtained_of))
		fputs("of that, the allocators have: not known (glibc's, musl's, jemalloc's can be)\n",
		      out);
}

static void print_verdict(FILE *out, const struct course *course)
{
	const struct verdict v = verdict_of_course(course);

	fprintf(out, "%s: ", verdict_name(v.word));
	evidence_print(out, &v);
	putc('\n', out);
}

int report_course(const struct course *course, unsigned rows, FILE *out)
{
	struct course_row row[MAX_ROWS];
	size_t max = rows < 2 ? 2 : rows > MAX_ROWS ? MAX_ROWS : rows;
	size_t count = course_rows(course, max, row);
	uint64_t most = 0, samples = 0;

	for (size_t i = 0; i < count; i++)
		if (row[i].point.most_in_use > most)
			most = row[i].point.most_in_use;
	fputs("      time    in use    blocks  allocs/s   frees/s       RSS\n", out);
	for (size_t i = 0; i < count; i++)
		print_row(out, &row[i], most);
	print_mapped(out, course);
	for (size_t i = 0; i < course->count; i++)
		samples += course->points[i].samples;
	print_count(out, samples, "sample");
	fputs(" in ", out);
	print_count(out, course->count, "point");
	if (course->count && course->points[course->count - 1].pss) {
		fputs("; PSS", out);
		print_short(out, course->points[course->count - 1].pss);
		fputs(" now", out);
	}
	putc('\n', out);
	print_verdict(out, course);
	return ferror(out) ? -EIO : 0;
}
