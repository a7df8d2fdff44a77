/*
 * Marks, and differences of two.
 *
 * "start" is a mark that nobody has to set: no contexts, and a context that a mark does not
 * have had allocated nothing yet, so all its counters are 0.  Counters only ever grow between
 * two marks of one count; who clears the statistics drops the marks.
 */
#include "heap/births.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char marks_start[] = "start";
static const char now[] = "now";

static void add(struct mark_counters *sum, const struct mark_counters *c)
{
	sum->allocs += c->allocs;
	sum->frees += c->frees;
	sum->allocated_bytes += c->allocated_bytes;
	sum->freed_bytes += c->freed_bytes;
}

int mark_take(const struct snapshot *s, const char *name, struct mark *ret, struct err *err)
{
	struct mark mark = {
		.started = s->started,
		.taken = s->taken,
		.ticks = s->ticks_now,
		.context_count = s->context_count};

	snprintf(mark.name, sizeof(mark.name), "%s", name);
	mark.contexts = calloc((size_t)s->context_count + 1, sizeof(*mark.contexts));
	if (!mark.contexts)
		return err_set(err, -ENOMEM, "out of memory for a mark of %u call stacks",
			       s->context_count);
	for (uint32_t i = 0; i < s->context_count; i++) {
		const struct region_context *c = &s->contexts[i];

		mark.contexts[i] = (struct mark_counters){c->allocs, c->frees,
							  c->allocated_bytes, c->freed_bytes};
		add(&mark.total, &mark.contexts[i]);
	}
	*ret = mark;
	return 0;
}

static const struct mark *find(const struct marks *marks, const char *name)
{
	for (size_t i = 0; i < marks->count; i++)
		if (!strcmp(marks->at[i].name, name))
			return &marks->at[i];
	return NULL;
}

static bool is_reserved(const char *name)
{
	return !strcmp(name, marks_start) || !strcmp(name, now);
}

/* A number that no mark is called yet. */
static void number(struct marks *marks, char ret[MARK_NAME_SIZE])
{
	do
		snprintf(ret, MARK_NAME_SIZE, "%u", ++marks->unnamed);
	while (find(marks, ret));
}

/* The oldest that has no name of somebody's, if there is one. */
static void drop_one(struct marks *marks)
{
	size_t i = 0;

	while (i < marks->count && !marks->at[i].numbered)
		i++;
	i = i == marks->count ? 0 : i;
	free(marks->at[i].contexts);
	marks->count--;
	memmove(&marks->at[i], &marks->at[i + 1], (marks->count - i) * sizeof(marks->at[0]));
}

int marks_add(struct marks *marks, const char *name, const struct snapshot *snapshot,
	      bool *dropped, struct err *err)
{
	char numbered[MARK_NAME_SIZE];
	struct mark mark;
	int rc;

	if (name && is_reserved(name))
		return err_set(err, -EINVAL, "'%s' is there without a mark", name);
	if (name && strlen(name) >= MARK_NAME_SIZE)
		return err_set(err, -EINVAL, "a mark's name has at most %d characters",
			       MARK_NAME_SIZE - 1);
	if (name && find(marks, name))
		return err_set(err, -EEXIST, "there is a mark '%s' already", name);
	if (!name)
		number(marks, numbered);
	rc = mark_take(snapshot, name ? name : numbered, &mark, err);
	if (rc)
		return rc;
	mark.numbered = !name;
	*dropped = marks->count == MARKS_MAX;
	if (*dropped)
		drop_one(marks);
	marks->at[marks->count++] = mark;
	return 0;
}

void marks_deinit(struct marks *marks)
{
	for (size_t i = 0; i < marks->count; i++)
		free(marks->at[i].contexts);
	*marks = (struct marks){0};
}

/* ---- differences -------------------------------------------------------------------- */

static struct diff_context difference(uint32_t id, const struct mark_counters *a,
				      const struct mark_counters *b)
{
	struct diff_context d = {
		.id = id,
		.born = b->allocs - a->allocs,
		.died = b->frees - a->frees,
		.survived_most = UINT64_MAX};

	d.blocks = (int64_t)(d.born - d.died);
	d.bytes = (int64_t)((b->allocated_bytes - a->allocated_bytes) -
			    (b->freed_bytes - a->freed_bytes));
	return d;
}

static int compare(const void *a, const void *b)
{
	const struct diff_context *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	if (x->blocks != y->blocks)
		return x->blocks > y->blocks ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static double seconds_between(const struct timespec *a, const struct timespec *b)
{
	return (double)(b->tv_sec - a->tv_sec) + (double)(b->tv_nsec - a->tv_nsec) / 1e9;
}

void diff_finish(struct diff *d, const struct timespec *before, const struct timespec *after)
{
	qsort(d->at, d->count, sizeof(*d->at), compare);
	while (d->grown < d->count && (d->at[d->grown].bytes > 0 ||
				       (!d->at[d->grown].bytes && d->at[d->grown].blocks > 0)))
		d->grown++;
	d->seconds = seconds_between(before, after);
	if (d->seconds < 0) /* the clock was set */
		d->seconds = 0;
}

/* Both of one count, the later one behind. */
static int compute(const struct mark *a, const struct mark *b, struct diff *d, struct err *err)
{
	static const struct mark_counters none;

	d->at = malloc(((size_t)b->context_count + 1) * sizeof(*d->at));
	if (!d->at)
		return err_set(err, -ENOMEM, "out of memory to compare %u call stacks",
			       b->context_count);
	for (uint32_t id = 0; id < b->context_count; id++) {
		const struct mark_counters *old =
			id < a->context_count ? &a->contexts[id] : &none;
		struct diff_context one = difference(id, old, &b->contexts[id]);

		if (one.born || one.died)
			d->at[d->count++] = one;
	}
	d->total = difference(0, &a->total, &b->total);
	diff_finish(d, &a->taken, &b->taken);
	return 0;
}

static int check(const struct mark *a, const struct mark *b, const char *from, const char *to,
		 struct err *err)
{
	if (a->started.tv_sec != b->started.tv_sec || a->started.tv_nsec != b->started.tv_nsec)
		return err_set(err, -EINVAL, "between '%s' and '%s' counting began anew", from,
			       to);
	if (a->total.allocs > b->total.allocs || a->total.frees > b->total.frees)
		return err_set(err, -EINVAL, "'%s' is later than '%s'", from, to);
	return 0;
}

/* The mark of that name; "start" and "now" are the given ones.  NULL: there is none. */
static const struct mark *named(const struct marks *marks, const char *name,
				const struct mark *start, const struct mark *present)
{
	return !strcmp(name, marks_start) ? start
	       : !strcmp(name, now)	  ? present
					  : find(marks, name);
}

int marks_diff(const struct marks *marks, const char *from, const char *to,
	       const struct snapshot *snapshot, struct diff *ret, struct err *err)
{
	const struct mark start = {.started = snapshot->started,
				   .taken = snapshot->started,
				   .ticks = BIRTHS_EVER};
	struct mark present;
	struct diff diff = {
		.from = from	       ? from
			: marks->count ? marks->at[marks->count - 1].name
				       : marks_start,
		.to = to ? to : now,
	};
	const struct mark *a, *b;
	int rc = mark_take(snapshot, now, &present, err);

	if (rc)
		return rc;
	a = named(marks, diff.from, &start, &present);
	b = named(marks, diff.to, &start, &present);
	if (!a || !b)
		rc = err_set(err, -ENOENT, "there is no mark '%s'; 'marks' lists them",
			     a ? diff.to : diff.from);
	else
		rc = check(a, b, diff.from, diff.to, err);
	if (!rc)
		rc = compute(a, b, &diff, err);
	if (!rc) {
		diff.from_ticks = a->ticks;
		diff.to_ticks = b == &present ? BIRTHS_EVER : b->ticks;
	}
	free(present.contexts);
	if (!rc)
		*ret = diff;
	return rc;
}

static uint64_t most_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* No more than were born; until now, no fewer than must have stayed for what is in use. */
static void survived(struct diff_context *d, const struct births_span *span, bool until_now)
{
	uint64_t stayed = until_now && d->born > d->died ? d->born - d->died : 0;

	d->survived_least = least_of(most_of(span->sure, stayed), d->born);
	d->survived_most =
		most_of(least_of((uint64_t)span->sure + span->unsure, d->born), d->survived_least);
}

void diff_survived(struct diff *diff, const struct births_span *spans,
		   const struct snapshot *snapshot)
{
	struct diff_context sum = {0};

	for (size_t i = 0; i < diff->count; i++) {
		struct diff_context *d = &diff->at[i];
		const struct region_context *c = &snapshot->contexts[d->id];

		if (spans[d->id].all != c->allocs - c->frees)
			return; /* (ages of some are not known) */
		survived(d, &spans[d->id], diff->to_ticks == BIRTHS_EVER);
		sum.survived_least += d->survived_least;
		sum.survived_most += d->survived_most;
	}
	diff->total.survived_least = sum.survived_least;
	diff->total.survived_most = sum.survived_most;
}

void diff_deinit(struct diff *diff)
{
	free(diff->at);
	*diff = (struct diff){0};
}
