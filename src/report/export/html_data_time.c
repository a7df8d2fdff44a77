/*
 * What the page's script knows of time: the totals as columns, and what changed by generation and
 * by mark, as doc/snapshot.md's CHANGES and BIRTHS are, in base64: they are kept like that, and a
 * script unpacks them faster than it reads as many numbers.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "heap/verdicts.h"
#include "report/export/html_data.h"
#include "report/export/html_text.h"

enum { POINTS = 2000 };

/* RFC 4648, section 4. */
static void write_base64(FILE *out, const uint8_t *bytes, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	putc('"', out);
	for (size_t i = 0; i < len; i += 3) {
		uint32_t three = (uint32_t)bytes[i] << 16 |
				 (i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0) |
				 (i + 2 < len ? bytes[i + 2] : 0);

		putc(digits[three >> 18], out);
		putc(digits[three >> 12 & 63], out);
		putc(i + 1 < len ? digits[three >> 6 & 63] : '=', out);
		putc(i + 2 < len ? digits[three & 63] : '=', out);
	}
	putc('"', out);
}

/* ---- the course --------------------------------------------------------------------- */

static uint64_t in_use_of(const struct course_row *row)
{
	return row->point.in_use;
}

static uint64_t most_of(const struct course_row *row)
{
	return row->point.most_in_use;
}

static uint64_t resident_of(const struct course_row *row)
{
	return row->point.resident;
}

static uint64_t mapped_of(const struct course_row *row)
{
	return row->point.mapped;
}

static uint64_t obtained_of(const struct course_row *row)
{
	return row->point.obtained;
}

static uint64_t allocs_of(const struct course_row *row)
{
	return row->point.allocs;
}

static uint64_t frees_of(const struct course_row *row)
{
	return row->point.frees;
}

static const struct {
	const char *name;
	uint64_t (*value)(const struct course_row *row);
} columns[] = {
	{"in_use", in_use_of}, {"most", most_of},   {"resident", resident_of},
	{"mapped", mapped_of},	 {"allocators", obtained_of},
	{"allocs", allocs_of},	 {"frees", frees_of},
};

static int write_course(const struct course *course, FILE *out, struct err *err)
{
	struct course_row *rows = calloc(POINTS, sizeof(*rows));
	size_t count = rows ? course_rows(course, POINTS, rows) : 0;

	if (!rows)
		return exports_no_memory(err);
	fputs(",\n\"course\":{\"seconds\":[", out);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s%.2f", i ? "," : "", rows[i].seconds);
	putc(']', out);
	for (size_t k = 0; k < ARRAY_SIZE(columns); k++) {
		fprintf(out, ",\n\"%s\":[", columns[k].name);
		for (size_t i = 0; i < count; i++)
			fprintf(out, "%s%" PRIu64, i ? "," : "", columns[k].value(&rows[i]));
		putc(']', out);
	}
	putc('}', out);
	free(rows);
	return 0;
}

/* ---- generations -------------------------------------------------------------------- */

static int write_births(const struct births *births, FILE *out, struct err *err)
{
	uint8_t *bytes;
	size_t len;

	if (births_encode(births, &bytes, &len))
		return exports_no_memory(err);
	fputs(",\n\"births\":", out);
	write_base64(out, bytes, len);
	free(bytes);
	return 0;
}

static int write_generations(const struct snapshot *s, FILE *out, struct err *err)
{
	const struct generations *g = s->verdicts->generations;

	fprintf(out, ",\n\"generations\":{\"begin\":%" PRId64 ",\"ends\":[", html_ticks(s, g->begin));
	for (size_t i = 0; i < g->count; i++)
		fprintf(out, "%s%" PRId64, i ? "," : "", html_ticks(s, g->at[i].end));
	fputs("],\n\"changes\":[", out);
	for (size_t i = 0; i < g->count; i++) {
		fputs(i ? ",\n" : "", out);
		write_base64(out, g->at[i].changes, g->at[i].len);
	}
	fputs("]}", out);
	return s->verdicts->births.context_count ? write_births(&s->verdicts->births, out, err)
						 : 0;
}

/* ---- marks -------------------------------------------------------------------------- */

/* What each context counted since the mark before (NULL: since the start). */
static int write_changes(const struct mark *before, const struct mark *mark, FILE *out,
			 struct err *err)
{
	uint8_t *bytes;
	size_t len;

	if (generations_encode(before ? before->contexts : NULL,
			       before ? before->context_count : 0, mark->contexts,
			       mark->context_count, &bytes, &len))
		return exports_no_memory(err);
	write_base64(out, bytes, len);
	free(bytes);
	return 0;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Those since counting began. */
static int write_marks(const struct snapshot *s, const struct marks *marks, FILE *out,
		       struct err *err)
{
	const struct mark *before = NULL;
	int failed = 0;

	fputs(",\n\"marks\":[", out);
	for (size_t i = 0; !failed && i < marks->count; i++) {
		const struct mark *m = &marks->at[i];

		if (!same_time(&m->started, &s->started))
			continue;
		fprintf(out, "%s{\"name\":", before ? ",\n" : "");
		html_data_string(out, m->name);
		fprintf(out, ",\"seconds\":%.2f,\"changes\":",
			(double)(m->taken.tv_sec - s->started.tv_sec) +
				(double)(m->taken.tv_nsec - s->started.tv_nsec) / 1e9);
		failed = write_changes(before, m, out, err);
		putc('}', out);
		before = m;
	}
	putc(']', out);
	return failed;
}

/* ---- another capture ---------------------------------------------------------------- */

static void write_diff(const struct diff *diff, FILE *out)
{
	fputs(",\n\"comparison\":{\"from\":", out);
	html_data_string(out, diff->from);
	fputs(",\n\"id\":[", out);
	for (size_t i = 0; i < diff->count; i++)
		fprintf(out, "%s%" PRIu32, i ? "," : "", diff->at[i].id);
	fputs("],\n\"bytes\":[", out);
	for (size_t i = 0; i < diff->count; i++)
		fprintf(out, "%s%" PRId64, i ? "," : "", diff->at[i].bytes);
	fputs("],\n\"blocks\":[", out);
	for (size_t i = 0; i < diff->count; i++)
		fprintf(out, "%s%" PRId64, i ? "," : "", diff->at[i].blocks);
	fputs("]}", out);
}

int html_data_time(const struct exports *exports, const struct course *course, FILE *out,
		   struct err *err)
{
	const struct snapshot *s = exports->snapshot;
	const struct report_options *options = exports->job->options;
	int failed = course ? write_course(course, out, err) : 0;

	if (!failed && s->verdicts && s->verdicts->generations)
		failed = write_generations(s, out, err);
	if (!failed && options->marks)
		failed = write_marks(s, options->marks, out, err);
	if (!failed && options->diff)
		write_diff(options->diff, out);
	return failed;
}
