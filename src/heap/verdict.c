/*
 * The course of a process:
 *
 *   course --16 spans of time, the first left out (warm-up)--> y[0..n), n <= 15
 *
 *   is there a trend?   p < 0.01 (trend.h)
 *   will it go on?      medians of the thirds: the last step is less than 0.3 of the one before:
 *                       it levels off
 *   is it one step?     the largest rise from a span to the next is all of it: then nobody can
 *                       tell yet
 */
#include "heap/verdict.h"

#include <string.h>

enum { SPANS = 16, MIN_SPANS = 8, WORTH_RSS = 1 << 20 };

static const double goes_on = 0.3;

/* Of what is in use, or resident. */
static struct trend_series series_of(const struct course *course, bool resident)
{
	struct course_row rows[SPANS + 1];
	size_t count = course_rows(course, SPANS + 1, rows);
	struct trend_series s = {.n = 0};

	for (size_t i = 2; i < count; i++) { /* (the start, and the first span) */
		s.t[s.n] = rows[i].seconds;
		s.y[s.n++] = (double)(resident ? rows[i].point.resident : rows[i].point.in_use);
	}
	return s;
}

struct verdict verdict_of_series(struct trend_series *s, double sigma)
{
	struct verdict v = {.word = VERDICT_STEADY};
	size_t third = s->n / 3;
	double first = trend_median(s, 0, third);
	double middle = trend_median(s, third, s->n - third);
	double last = trend_median(s, s->n - third, s->n);
	struct trend_slope slope;
	double step;

	if (!trend_rises(s, sigma) || last <= first)
		return v;
	v.grown = (uint64_t)(last - first);
	if (last - middle < goes_on * (middle - first)) {
		v.word = VERDICT_LEVELLING_OFF;
		return v;
	}
	v.word = VERDICT_GROWS;
	slope = trend_slope(s);
	v.per_hour = slope.median;
	v.lowest = slope.lowest;
	v.highest = slope.highest;
	step = trend_take_step(s);
	if (!trend_rises(s, trend_p_05)) {
		v.word = VERDICT_TOO_EARLY;
		v.step = (uint64_t)step;
	}
	return v;
}

/* What is resident grows, and by no little, while what is in use does not. */
static void see_resident(const struct course *course, struct verdict *v)
{
	struct trend_series s = series_of(course, true);
	struct verdict resident;

	for (size_t i = 0; i < s.n; i++)
		if (s.y[i] <= 0) /* (it was not known) */
			return;
	resident = verdict_of_series(&s, trend_p_01);
	if (resident.word != VERDICT_GROWS || resident.grown < WORTH_RSS)
		return;
	v->word = VERDICT_FRAGMENTATION;
	v->grown = resident.grown;
}

struct verdict verdict_of_course(const struct course *course)
{
	struct trend_series s = series_of(course, false);
	struct verdict v = {.word = VERDICT_TOO_EARLY};
	double seconds = 0;

	if (course->count)
		seconds = (double)(course->points[course->count - 1].ms -
				   course->points[0].ms) /
			  1000;
	if (s.n >= MIN_SPANS && seconds >= VERDICT_MIN_SECONDS)
		v = verdict_of_series(&s, trend_p_01);
	if (v.word == VERDICT_STEADY || v.word == VERDICT_LEVELLING_OFF)
		see_resident(course, &v);
	v.seconds = seconds;
	return v;
}

static const char *const names[VERDICT_WORDS] = {
	[VERDICT_TOO_EARLY] = "too early",
	[VERDICT_STEADY] = "steady",
	[VERDICT_CACHE] = "cache",
	[VERDICT_LEVELLING_OFF] = "levelling off",
	[VERDICT_FRAGMENTATION] = "fragmentation?",
	[VERDICT_GROWS] = "grows",
	[VERDICT_LEAKS] = "leaks",
};

const char *verdict_name(enum verdict_word word)
{
	return names[word];
}

enum verdict_word verdict_of_name(const char *name)
{
	int word = 0;

	while (word < VERDICT_WORDS && strcmp(name, names[word]) != 0)
		word++;
	return (enum verdict_word)word;
}
