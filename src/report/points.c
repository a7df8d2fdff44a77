/*
 * Snapshot files of --every, of nightly runs, of one device's days, side by side:
 *
 *                   taken    in use    blocks  allocs/s   frees/s       RSS  file
 *     2026-11-29 12:00:01      1.2K        12         -         -      3.4M  a.snap
 *     2026-11-29 13:00:01     41.3K       412      40.0      38.2      3.5M  b.snap
 *
 *     grows: 41.0 KiB an hour (38.2 KiB to 44.1 KiB)
 *
 * Rates are said between points of one count of one process; the trend is that of what was in
 * use, whoever's it was.
 */
#include "report/points.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "heap/verdict.h"
#include "report/evidence.h"
#include "report/job.h"
#include "report/print.h"
#include "report/utf8.h"

struct report_point report_point_of(const char *path, const struct snapshot *snapshot)
{
	return (struct report_point){.path = path,
				     .pid = snapshot->pid,
				     .started = snapshot->started,
				     .taken = snapshot->taken,
				     .totals = snapshot->totals,
				     .resident = snapshot->resident_bytes};
}

static int64_t ms_of(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000 + t->tv_nsec / 1000000;
}

static int by_time(const void *a, const void *b)
{
	const struct report_point *x = a, *y = b;
	int64_t i = ms_of(&x->taken), k = ms_of(&y->taken);

	return i < k ? -1 : i > k;
}

/* Whether the second one has counted on from the first. */
static bool goes_on(const struct report_point *a, const struct report_point *b)
{
	return a->pid == b->pid && a->started.tv_sec == b->started.tv_sec &&
	       a->started.tv_nsec == b->started.tv_nsec && a->totals.allocs <= b->totals.allocs &&
	       a->totals.frees <= b->totals.frees;
}

static void print_rate(FILE *out, uint64_t now, uint64_t before, double seconds)
{
	if (seconds > 0)
		fprintf(out, " %9.1f", (double)(now - before) / seconds);
	else
		fputs("         -", out);
}

static void print_point(FILE *out, const struct report_point *p, const struct report_point *before)
{
	const struct region_totals *t = &p->totals;
	bool on = before && goes_on(before, p);
	double seconds = on ? (double)(ms_of(&p->taken) - ms_of(&before->taken)) / 1000 : 0;
	char when[32] = "?";
	struct tm tm;

	if (localtime_r(&p->taken.tv_sec, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(out, "%19s", when);
	print_short(out, t->allocated_bytes - t->freed_bytes);
	fprintf(out, " %9" PRIu64, t->allocs - t->frees);
	print_rate(out, t->allocs, on ? before->totals.allocs : 0, seconds);
	print_rate(out, t->frees, on ? before->totals.frees : 0, seconds);
	print_short_known(out, p->resident);
	fputs("  ", out);
	utf8_print(out, p->path);
	putc('\n', out);
}

/* As a course, of which only what is in use counts. */
static int print_trend(const struct report_point *points, size_t count, FILE *out,
		       struct err *err)
{
	struct course_point *at = calloc(count, sizeof(*at));
	struct course course = {.points = at, .count = count, .capacity = count};
	struct verdict v;

	if (!at)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const struct region_totals *t = &points[i].totals;
		uint64_t in_use = t->allocated_bytes - t->freed_bytes;

		at[i] = (struct course_point){.ms = ms_of(&points[i].taken),
					      .allocs = i,
					      .in_use = in_use,
					      .most_in_use = in_use,
					      .resident = points[i].resident,
					      .samples = 1};
	}
	v = verdict_of_course(&course);
	fprintf(out, "\n%s: ", verdict_name(v.word));
	evidence_print(out, &v);
	fputs("\n\n", out);
	free(at);
	return 0;
}

int report_points(struct report_point *points, size_t count, FILE *out, struct err *err)
{
	int failed;

	qsort(points, count, sizeof(*points), by_time);
	fputs("              taken    in use    blocks  allocs/s   frees/s       RSS  file\n",
	      out);
	for (size_t i = 0; i < count; i++)
		print_point(out, &points[i], i ? &points[i - 1] : NULL);
	failed = print_trend(points, count, out, err);
	return failed ? failed : report_check(out, err);
}
