/* See ages.h. */
#include "capture/ages.h"

#include "base/order.h"
#include "region/atom.h"
#include "region/live.h"

_Static_assert(2 * AGES_SPANS == LIVE_AGES, "there are two sets of marks");

static void tell(const struct ages *ages, const struct shared *shared)
{
	atom_store32(&shared_told(shared)->age, ages->set + ages->count);
}

void ages_clear(struct ages *ages, const struct shared *shared, uint32_t now)
{
	*ages = (struct ages){.begin = now};
	tell(ages, shared);
}

/* All blocks have marks of the set in use then, but one that is just being noted. */
static void move_over(const struct ages *ages, const struct shared *shared)
{
	uint8_t to[LIVE_AGES];

	for (uint32_t mark = 0; mark < LIVE_AGES; mark++)
		to[mark] = (uint8_t)(mark / AGES_SPANS == ages->set / AGES_SPANS
					     ? mark
					     : ages->set + mark % AGES_SPANS / 2);
	live_ages_change(shared, to);
}

static void merge(struct ages *ages, const struct shared *shared)
{
	if (ages->merged) /* the others are to be used again */
		move_over(ages, shared);
	for (uint32_t i = 0; i < AGES_SPANS / 2; i++)
		ages->end[i] = ages->end[2 * i + 1];
	ages->count = AGES_SPANS / 2;
	ages->set ^= AGES_SPANS;
	ages->merged = true;
	tell(ages, shared);
}

void ages_end(struct ages *ages, const struct shared *shared, uint32_t now)
{
	ages->end[ages->count++] = now;
	if (ages->count == AGES_SPANS)
		merge(ages, shared);
	else
		tell(ages, shared);
}

uint32_t ages_time(const struct ages *ages, uint32_t mark)
{
	bool other = mark / AGES_SPANS != ages->set / AGES_SPANS;
	uint32_t span = mark % AGES_SPANS / (other ? 2 : 1), begin;

	span = span < ages->count ? span : ages->count;
	begin = span ? ages->end[span - 1] : ages->begin;
	return begin + (span < ages->count ? (ages->end[span] - begin + 1) / 2 : 1);
}

uint32_t ages_mark(const struct ages *ages, uint32_t time)
{
	return ages->set + (uint32_t)order_count(ages->count, i, ages->end[i] < time);
}
