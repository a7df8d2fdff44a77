/* See ages.h. */
#include "capture/ages.h"

#include <string.h>

#include "base/order.h"
#include "region/atom.h"

enum { MARKS_GIVEN_UP = 16 };

static void tell(const struct ages *ages, const struct shared *shared)
{
	atom_store32(&shared_told(shared)->age, ages->label);
}

void ages_clear(struct ages *ages, const struct shared *shared, uint32_t now)
{
	*ages = (struct ages){.begin = now};
	memset(ages->span_of, AGES_UNUSED, sizeof(ages->span_of));
	ages->span_of[0] = 0;
	tell(ages, shared);
}

void ages_go_on(struct ages *ages, const struct shared *shared)
{
	const uint32_t told = atom_load32(&shared_told(shared)->age) % LIVE_AGES;

	/* Labels have been used again: what any means now was not written down.  (None was unused then.) */
	if (told != ages->label && ages->span_of[told] != AGES_UNUSED) {
		ages->count = 0;
		memset(ages->span_of, 0, sizeof(ages->span_of));
	}
	while (ages->label != told) {
		ages->label = (ages->label + 1) % LIVE_AGES;
		if (ages->span_of[ages->label] == AGES_UNUSED)
			ages->span_of[ages->label] = (uint8_t)ages->count;
	}
	ages->span_of[told] = (uint8_t)ages->count;
}

/* ---- spans become one ------------------------------------------------------------ */

/* With the one behind it. */
static void join(struct ages *ages, uint32_t span)
{
	const uint32_t behind = ages->count - span - 1;

	for (uint32_t label = 0; label < LIVE_AGES; label++)
		if (ages->span_of[label] != AGES_UNUSED && ages->span_of[label] > span)
			ages->span_of[label]--;
	memmove(&ages->end[span], &ages->end[span + 1], behind * sizeof(ages->end[0]));
	memmove(&ages->by[span], &ages->by[span + 1], behind);
	ages->count--;
}

/* As the generations of the heap do. */
static void join_generations(struct ages *ages)
{
	uint32_t count = 0;

	for (uint32_t span = 0; span < ages->count; span++)
		count += ages->by[span] == AGES_BY_GENERATION;
	if (count < AGES_GENERATIONS)
		return;
	for (uint32_t span = ages->count; span-- > 0;) /* (from behind: the last of all stays) */
		if (ages->by[span] == AGES_BY_GENERATION && --count % 2 == 0)
			join(ages, span);
}

static void join_marks(struct ages *ages)
{
	uint32_t span = 0;

	for (unsigned i = 0; i < MARKS_GIVEN_UP; i++) {
		while (span < ages->count && ages->by[span] == AGES_BY_GENERATION)
			span++;
		if (span < ages->count)
			join(ages, span);
	}
}

/* ---- labels ------------------------------------------------------------------------ */

/* The first one of that span; the one that is told, of the span that runs. */
static uint32_t first_of(const struct ages *ages, uint32_t span)
{
	uint32_t label = 0;

	if (span == ages->count && ages->span_of[ages->label] == span)
		return ages->label;
	while (label < LIVE_AGES && ages->span_of[label] != span)
		label++;
	return label % LIVE_AGES;
}

/* Each span has one alone then, but for a block that is just being noted. */
static void free_labels(struct ages *ages, const struct shared *shared)
{
	uint8_t to[LIVE_AGES];

	for (uint32_t label = 0; label < LIVE_AGES; label++)
		to[label] = (uint8_t)(ages->span_of[label] == AGES_UNUSED
					      ? label
					      : first_of(ages, ages->span_of[label]));
	live_ages_change(shared, to);
	for (uint32_t label = 0; label < LIVE_AGES; label++)
		if (to[label] != label)
			ages->span_of[label] = AGES_UNUSED;
}

/* One after the other: who comes late with one finds it with its meaning as long as can be. */
static bool take_label(struct ages *ages)
{
	for (uint32_t i = 1; i <= LIVE_AGES; i++) {
		uint32_t label = (ages->label + i) % LIVE_AGES;

		if (ages->span_of[label] != AGES_UNUSED)
			continue;
		ages->label = label;
		ages->span_of[label] = (uint8_t)ages->count;
		return true;
	}
	return false;
}

/* ---- spans end ----------------------------------------------------------------------- */

/* Where the span that runs begins, less one. */
static uint32_t before(const struct ages *ages, uint32_t span)
{
	return span ? ages->end[span - 1] : ages->begin;
}

static void end(struct ages *ages, const struct shared *shared, uint32_t last, enum ages_by by)
{
	const uint32_t least = before(ages, ages->count);

	ages->end[ages->count] = last > least ? last : least;
	ages->by[ages->count++] = (uint8_t)by;
	join_generations(ages);
	if (ages->count == AGES_ENDS)
		join_marks(ages);
	if (!take_label(ages)) {
		free_labels(ages, shared);
		take_label(ages); /* (there are more than spans) */
	}
	tell(ages, shared);
}

void ages_end(struct ages *ages, const struct shared *shared, uint32_t now)
{
	end(ages, shared, now, AGES_BY_GENERATION);
}

void ages_mark_begins(struct ages *ages, const struct shared *shared, uint32_t now)
{
	end(ages, shared, now ? now - 1 : 0, AGES_BY_MARK);
}

void ages_mark_ends(struct ages *ages, const struct shared *shared, uint32_t now)
{
	end(ages, shared, now, AGES_BY_MARK_SET);
}

/* ---- what they mean ------------------------------------------------------------------ */

static uint32_t middle_of(const struct ages *ages, uint32_t span)
{
	const uint32_t begin = before(ages, span);

	return begin + (span < ages->count ? (ages->end[span] - begin + 1) / 2 : 1);
}

static uint32_t span_at(const struct ages *ages, uint32_t time)
{
	return (uint32_t)order_count(ages->count, i, ages->end[i] < time);
}

uint32_t ages_time(const struct ages *ages, uint32_t label)
{
	const uint32_t span = ages->span_of[label % LIVE_AGES];

	return middle_of(ages, span < ages->count ? span : ages->count);
}

struct ages_range ages_range(const struct ages *ages, uint32_t time, uint32_t now)
{
	const uint32_t span = span_at(ages, time);
	uint32_t first = before(ages, span) + 1;

	if (time != middle_of(ages, span))
		return (struct ages_range){time, time};
	if (span == ages->count)
		return (struct ages_range){first, now > first ? now : first};
	if (ages->by[span] == AGES_BY_MARK_SET) /* (two marks in a tick) */
		first--;
	return (struct ages_range){first < ages->end[span] ? first : ages->end[span], ages->end[span]};
}

uint32_t ages_label(const struct ages *ages, uint32_t time)
{
	return first_of(ages, span_at(ages, time));
}

bool ages_are_sound(const struct ages *ages)
{
	bool sound = ages->count < AGES_ENDS && ages->label < LIVE_AGES &&
		     ages->span_of[ages->label] == ages->count;

	for (uint32_t label = 0; label < LIVE_AGES && sound; label++)
		sound = ages->span_of[label] <= ages->count || ages->span_of[label] == AGES_UNUSED;
	for (uint32_t span = 0; span < ages->count && sound; span++)
		sound = ages->span_of[first_of(ages, span)] == span &&
			before(ages, span) <= ages->end[span];
	return sound;
}
