/*
 * The course of totals.
 *
 *   samples   0  1 2 3 4 5 6 7 8 ...
 *   points    |  | | | | | | | |     full:
 *             |    |   |   |   |     merged by pairs: each stands for two samples, and so will
 *             |    |   |   |   |     the next; then for four ...
 *
 * The first point stays as it is: the start.  A point is the state at its end, and counters are
 * sums, so what was allocated between any two points is exact whatever was merged between; only
 * the peak of a span has to be carried over.
 */
#include "heap/course.h"

#include <stdlib.h>

/* b, which is later, in the place of both. */
static struct course_point merged(const struct course_point *a, const struct course_point *b)
{
	struct course_point both = *b;

	both.samples += a->samples;
	if (both.most_in_use < a->most_in_use)
		both.most_in_use = a->most_in_use;
	return both;
}

static void merge_pairs(struct course *c)
{
	size_t kept = 1;

	for (size_t i = 1; i < c->count; i += 2)
		c->points[kept++] = i + 1 < c->count ? merged(&c->points[i], &c->points[i + 1])
						     : c->points[i];
	c->count = kept;
	c->every *= 2;
}

/* Room for one more, by growing as long as that is allowed; else by merging. */
static void make_room(struct course *c)
{
	size_t max = c->max_bytes / sizeof(*c->points);
	size_t wanted = c->capacity ? c->capacity * 2 : 16;
	struct course_point *grown;

	if (c->count < c->capacity)
		return;
	if (wanted > max)
		wanted = max;
	grown = wanted > c->capacity ? realloc(c->points, wanted * sizeof(*grown)) : NULL;
	if (grown) {
		c->points = grown;
		c->capacity = wanted;
	} else if (c->count > 2) {
		merge_pairs(c);
	}
}

void course_clear(struct course *course)
{
	free(course->points);
	*course = (struct course){.max_bytes = course->max_bytes};
}

/* The last point stands for less samples than it may: for one more. */
static bool last_takes(struct course *c, const struct course_point *point)
{
	struct course_point *last = c->count > 1 ? &c->points[c->count - 1] : NULL;

	if (!last || last->samples >= c->every)
		return false;
	*last = merged(last, point);
	return true;
}

void course_add(struct course *course, const struct course_point *sample)
{
	struct course_point point = *sample;

	point.samples = 1;
	point.most_in_use = point.in_use;
	if (course->count) {
		const struct course_point *last = &course->points[course->count - 1];

		if (point.allocs < last->allocs || point.frees < last->frees)
			course_clear(course);
	}
	if (!course->every)
		course->every = 1;
	if (last_takes(course, &point))
		return;
	make_room(course);
	if (!last_takes(course, &point) && course->count < course->capacity)
		course->points[course->count++] = point;
}

/* ---- rows ------------------------------------------------------------------------------ */

static struct course_row row_of(const struct course_point *first,
				const struct course_point *before,
				const struct course_point *point)
{
	return (struct course_row){
		.seconds = (double)(point->ms - first->ms) / 1000,
		.point = *point,
		.span = (double)(point->ms - before->ms) / 1000,
		.allocs = point->allocs - before->allocs,
		.frees = point->frees - before->frees,
	};
}

size_t course_rows(const struct course *course, size_t max, struct course_row *rows)
{
	const struct course_point *p = course->points, *before = p;
	int64_t whole = course->count ? p[course->count - 1].ms - p[0].ms : 0;
	size_t n = 0, i = 1;

	if (!course->count)
		return 0;
	rows[n++] = row_of(p, p, p);
	for (size_t span = 1; span < max && i < course->count; span++) {
		int64_t end = p[0].ms + whole * (int64_t)span / (int64_t)(max - 1);
		uint64_t most = 0;
		size_t from = i;

		for (; i < course->count && p[i].ms <= end; i++)
			most = p[i].most_in_use > most ? p[i].most_in_use : most;
		if (i == from)
			continue;
		rows[n] = row_of(p, before, &p[i - 1]);
		rows[n++].point.most_in_use = most;
		before = &p[i - 1];
	}
	return n;
}
