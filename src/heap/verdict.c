/*
 * Growth, as statistics that assume no shape of the noise know it:
 *
 *   course --16 spans of time, the first left out (warm-up)--> y[0..n), n <= 15
 *
 *   is there a trend?   Mann-Kendall: of all pairs, how many more rise than fall; p < 0.01,
 * with the correction for ties how much?           Theil-Sen: the median of the slopes of all
 * pairs, and the ranks around it that hold 95 % (Sen 1968) will it go on?      medians of the
 * thirds: the last step is less than 0.3 of the one before: it levels off is it one step? the
 * largest rise from a span to the next is half of all: then nobody can tell yet
 */
#include "heap/verdict.h"

#include <stdlib.h>
#include <string.h>

enum { SPANS = 16, MIN_SPANS = 8, MAX_PAIRS = SPANS * (SPANS - 1) / 2 };

static const double p_01 = 2.326, p_05 = 1.645, within_95 = 1.96, goes_on = 0.3;

struct series {
	double t[SPANS], y[SPANS]; /* seconds, bytes */
	size_t n;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of values that are sorted by it. */
static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Without libm. */
static double root(double x)
{
	double r = x > 1 ? x : 1;

	for (int i = 0; i < 40; i++)
		r = (r + x / r) / 2;
	return r;
}

static struct series series_of(const struct course *course)
{
	struct course_row rows[SPANS + 1];
	size_t count = course_rows(course, SPANS + 1, rows);
	struct series s = {.n = 0};

	for (size_t i = 2; i < count; i++) { /* (the start, and the first span) */
		s.t[s.n] = rows[i].seconds;
		s.y[s.n++] = (double)rows[i].point.in_use;
	}
	return s;
}

/* Mann-Kendall's S: pairs that rise, less those that fall. */
static double trend(const struct series *s)
{
	double sum = 0;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = i + 1; k < s->n; k++)
			sum += (s->y[k] > s->y[i]) - (s->y[k] < s->y[i]);
	return sum;
}

static double variance_of(double n)
{
	return n * (n - 1) * (2 * n + 5) / 18;
}

/* The variance of S where there is no trend, ties taken off. */
static double variance(const struct series *s)
{
	double sorted[SPANS], left = variance_of((double)s->n);

	memcpy(sorted, s->y, sizeof(sorted));
	qsort(sorted, s->n, sizeof(*sorted), compare);
	for (size_t i = 0, end; i < s->n; i = end) {
		for (end = i + 1; end < s->n && sorted[end] <= sorted[i];)
			end++;
		left -= variance_of((double)(end - i));
	}
	return left;
}

static void slopes(const struct series *s, double deviation, struct verdict *v)
{
	double at[MAX_PAIRS], margin = within_95 * deviation / 2;
	double low, high;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = i + 1; k < s->n; k++)
			if (s->t[k] > s->t[i])
				at[n++] = (s->y[k] - s->y[i]) / (s->t[k] - s->t[i]) * 3600;
	if (!n)
		return;
	v->per_hour = median(at, n);
	low = (double)n / 2 - margin;
	high = (double)n / 2 + margin;
	v->lowest = at[low > 0 ? (size_t)low : 0];
	v->highest = at[high < (double)n ? (size_t)high : n - 1];
}

static double median_of(const struct series *s, size_t from, size_t to)
{
	double copy[SPANS];

	memcpy(copy, s->y + from, (to - from) * sizeof(*copy));
	return median(copy, to - from);
}

/* Whether more rises than chance lets: `sigma` of the normal distribution. */
static bool rises(const struct series *s, double sigma)
{
	double score = trend(s) - 1;

	return score > 0 && score * score > sigma * sigma * variance(s);
}

/* The largest rise from a span to the next, taken off all that comes behind it. */
static double take_step(struct series *s)
{
	double most = 0;
	size_t at = 0;

	for (size_t i = 1; i < s->n; i++) {
		if (s->y[i] - s->y[i - 1] > most) {
			most = s->y[i] - s->y[i - 1];
			at = i;
		}
	}
	for (size_t i = at; at && i < s->n; i++)
		s->y[i] -= most;
	return most;
}

struct verdict verdict_of_course(const struct course *course)
{
	struct series s = series_of(course);
	struct verdict v = {.word = VERDICT_TOO_EARLY};
	double first, middle, last, step;
	size_t third = s.n / 3;

	if (course->count)
		v.seconds =
			(double)(course->points[course->count - 1].ms - course->points[0].ms) /
			1000;
	if (s.n < MIN_SPANS || v.seconds < VERDICT_MIN_SECONDS)
		return v;
	v.word = VERDICT_STEADY;
	first = median_of(&s, 0, third);
	middle = median_of(&s, third, s.n - third);
	last = median_of(&s, s.n - third, s.n);
	if (!rises(&s, p_01) || last <= first)
		return v;
	v.grown = (uint64_t)(last - first);
	if (last - middle < goes_on * (middle - first)) {
		v.word = VERDICT_LEVELLING_OFF;
		return v;
	}
	v.word = VERDICT_GROWS;
	slopes(&s, root(variance(&s)), &v);
	step = take_step(&s);
	if (!rises(&s, p_05)) {
		v.word = VERDICT_TOO_EARLY;
		v.step = (uint64_t)step;
	}
	return v;
}

const char *verdict_name(enum verdict_word word)
{
	static const char *const names[] = {
		[VERDICT_TOO_EARLY] = "too early",
		[VERDICT_STEADY] = "steady",
		[VERDICT_LEVELLING_OFF] = "levelling off",
		[VERDICT_GROWS] = "grows",
	};

	return names[word];
}
