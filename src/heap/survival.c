/*
 * What tells a leak from a cache, a pool, a load that rises:
 *
 *   generations  |first|        old           | young |
 *   leak         | 9   | 3  2  4  3  3  2  3  | 30 50 |   each keeps its part for good
 *   cache, FIFO  |     |             20 50 50 | 50 50 |   those beyond an age have none
 *   cache, any   |  1  | 2  4  6  9 14 19 27  | 38 50 |   fewer and fewer
 *   load         |     |                      | 20 90 |   all are young
 *   start-up     | 800 |                      |       |   the first one alone
 *
 * first: a context's first generation is warm-up, and does not count.  young: of a tenth of the
 * time, and what has not ended.  A leak: at least 20 blocks in use of the old ones, of 80 % of
 * them; of the oldest third as many of those born as of the middle third, but for chance; and no
 * less than half of that of the last third, or it has stopped.  (Which generation a block is of is
 * known to 1/100 s alone: at a border one may have more than it bore.)
 */
#include "heap/survival.h"

enum { MIN_GENERATIONS = 8, MIN_OLD = 6, MIN_BLOCKS = 20, GROUPS = 8 };

struct span { /* generations [from, to) */
	size_t from, to;
};

struct third {
	double born, alive;
};

static struct third sum(const struct survival *s, size_t from, size_t to)
{
	struct third t = {0};

	for (size_t i = from; i < to; i++) {
		t.born += (double)s->born[i];
		t.alive += (double)s->alive[i];
	}
	return t;
}

static double now(const struct survival *s)
{
	return s->end[s->count - 1];
}

static double begin_of(const struct survival *s, size_t i)
{
	return i ? s->end[i - 1] : s->begin;
}

/* The old generations of the context. */
static struct span old_of(const struct survival *s)
{
	struct span old = {0, 0};
	double youth;

	while (old.from + 1 < s->count && !s->born[old.from])
		old.from++;
	old.from++;
	old.to = old.from;
	youth = old.from < s->count ? (now(s) - begin_of(s, old.from)) / 10 : 0;
	while (old.to + 1 < s->count && now(s) - s->end[old.to] >= youth)
		old.to++;
	return old;
}

static size_t kept(const struct survival *s, struct span old)
{
	size_t count = 0;

	for (size_t i = old.from; i < old.to; i++)
		count += s->alive[i] > 0;
	return count;
}

/* Whether 80 % of them kept blocks; of many, in groups, as what happens now and then does not
 * happen in each. */
static bool most_kept(const struct survival *s, struct span old)
{
	size_t n = old.to - old.from, groups = n < GROUPS ? n : GROUPS, count = 0;

	for (size_t i = 0; i < groups; i++)
		count += sum(s, old.from + n * i / groups, old.from + n * (i + 1) / groups)
				 .alive > 0;
	return count * 5 >= groups * 4;
}

/* Whether `alive` is below a part of what was to be expected, which has an error of its own, by
 * more than one standard deviation of chance. */
static bool is_below(double alive, double part, double expected, double variance)
{
	double less = part * expected - alive;

	return less > 0 && less * less > part * expected + part * part * variance;
}

/* How much more than chance (Poisson) neighbours differ in what they kept: errors come in
 * bursts.  1 or more. */
static double burstiness(const struct survival *s, struct span old)
{
	struct third all = sum(s, old.from, old.to);
	double sum = 0, pairs = 0;

	for (size_t i = old.from; i + 1 < old.to; i++) {
		double a = all.alive * (double)s->born[i] / all.born;
		double b = all.alive * (double)s->born[i + 1] / all.born;
		double less = (double)s->alive[i] - a - (double)s->alive[i + 1] + b;

		sum += a + b > 0 ? less * less / (a + b) : 0;
		pairs += a + b > 0;
	}
	return sum > pairs ? sum / pairs : 1;
}

/* What was there when generation i was over, and has gone since. */
static double gone_since(const struct survival *s, size_t i)
{
	double gone = (double)s->blocks[i] - sum(s, 0, i + 1).alive;

	return gone > 0 ? gone : 0;
}

/* Blocks a second in [from, to). */
static double rate(const struct survival *s, size_t from, size_t to)
{
	return sum(s, from, to).born / (s->end[to - 1] - begin_of(s, from));
}

/* What was there when the oldest third was over has gone since, and more of it than there is now
 * of what is young, so that some of it was old.  (Compared by the seconds that a block stays:
 * Little's law.) */
static bool old_ones_go(const struct survival *s, struct span old)
{
	size_t n = old.to - old.from;
	double young = sum(s, old.to, s->count).alive;
	double stays = young > 0 ? young / rate(s, old.to, s->count) : 0;
	double seconds = s->end[s->count - 1] - begin_of(s, old.from);

	for (size_t i = old.from + n / 3; i <= old.from + n / 2; i++) {
		double gone = gone_since(s, i), born = rate(s, i - 2, i + 1);

		gone -= trend_root(gone);
		if (born <= 0 || gone < 1.8 * stays * born || gone < seconds / 10 * born)
			return false;
	}
	return true;
}

/* Blocks of the oldest go, too: it is no leak. */
static bool dies(const struct survival *s, struct span old)
{
	size_t n = old.to - old.from;
	struct third oldest = sum(s, old.from, old.from + n / 3);
	struct third middle = sum(s, old.from + n / 3, old.to - n / 3);
	double kept = middle.born > 0 ? middle.alive / middle.born : 0;
	double part = middle.born > 0 ? oldest.born / middle.born : 0, more = burstiness(s, old);

	/* (counts divided by what they vary more are as those of chance) */
	if (is_below(oldest.alive / more, 0.75, kept * oldest.born / more,
		     part * part * middle.alive / more))
		return true;
	for (size_t i = old.from - 1; i < old.from + 2; i++) /* the edge of a FIFO */
		if (is_below((double)s->alive[i] / more, 0.5, kept * (double)s->born[i] / more,
			     0))
			return true;
	return old_ones_go(s, old);
}

/* Or has stopped. */
static bool goes_on(const struct survival *s, struct span old)
{
	const size_t n = old.to - old.from, third = n / 3;
	struct third middle = sum(s, old.from + third, old.to - third);
	struct third last = sum(s, old.to - third, old.to);
	double length = (double)(n - 2 * third) / (double)third;

	return last.alive * 2 * length >= middle.alive ||
	       (last.alive > 0 && last.alive * 2 * middle.born >= middle.alive * last.born);
}

static bool leaks(const struct survival *s, struct span old)
{
	return sum(s, old.from, old.to).alive >= MIN_BLOCKS && most_kept(s, old) &&
	       goes_on(s, old) && !dies(s, old);
}

static struct verdict leak(const struct survival *s, struct span old)
{
	struct third all = sum(s, old.from, old.to);
	double size = (double)s->in_use[s->count - 1] / (double)s->blocks[s->count - 1];
	double hours = (s->end[old.to - 1] - begin_of(s, old.from)) / 3600;
	double chance = 1.96 * trend_root(all.alive);

	return (struct verdict){
		.word = VERDICT_LEAKS,
		.per_hour = all.alive * size / hours,
		.lowest = (all.alive - chance) * size / hours,
		.highest = (all.alive + chance) * size / hours,
		.generations = (uint32_t)(old.to - old.from),
		.kept = (uint32_t)kept(s, old),
		.born = (uint64_t)(all.born > all.alive ? all.born : all.alive),
		.alive = (uint64_t)all.alive,
	};
}

/* How old blocks get, but for those of the start: seconds; 0: as old as can be told. */
static double age(const struct survival *s, struct span old)
{
	size_t oldest = old.from;
	struct third all = sum(s, old.from, s->count), gone = {0};

	for (; oldest + 1 < s->count; oldest++) { /* 1 of 100 may be older */
		gone.born += (double)s->born[oldest];
		gone.alive += (double)s->alive[oldest];
		if (gone.alive * 100 > all.alive)
			break;
	}
	return oldest == old.from ? 0 : now(s) - begin_of(s, oldest);
}

/* Steady: is it a cache? */
static void see_ages(const struct survival *s, struct span old, struct verdict *v)
{
	double watched = now(s) - begin_of(s, old.from);
	struct third all = sum(s, old.from, old.to);

	if (!s->freed || all.alive < MIN_BLOCKS)
		return;
	v->age = age(s, old);
	if (v->age * 10 > watched || (v->age <= 0 && dies(s, old)))
		v->word = VERDICT_CACHE;
}

/* The second half by itself. */
static bool half_rises(const struct trend_series *s)
{
	struct trend_series half = {.n = s->n / 2};

	for (size_t i = 0; i < half.n; i++) {
		half.t[i] = s->t[s->n - half.n + i];
		half.y[i] = s->y[s->n - half.n + i];
	}
	return half.n < 5 || trend_rises(&half, trend_p_05);
}

static struct verdict by_trend(const struct survival *s, struct span old, double sigma)
{
	struct trend_series series = {.n = 0};
	double first, likeness;
	struct verdict v;
	bool rises;

	for (size_t i = old.from; i < s->count; i++) {
		series.t[series.n] = s->end[i];
		series.y[series.n++] = (double)s->in_use[i];
	}
	first = trend_median(&series, 0, series.n / 3);
	likeness = trend_root(trend_likeness(&series));
	rises = trend_rises(&series, sigma * likeness);
	v = verdict_of_series(&series, sigma);
	if (v.word == VERDICT_GROWS && !half_rises(&series))
		v.word = VERDICT_LEVELLING_OFF;
	if (v.word == VERDICT_GROWS && !rises && (double)v.grown < first / 2)
		v = (struct verdict){.word = VERDICT_STEADY}; /* what it was wanders */
	if (v.word == VERDICT_STEADY || v.word == VERDICT_LEVELLING_OFF)
		see_ages(s, old, &v);
	return v;
}

/* Nothing came or went for the last half: then however little it is, it is steady. */
static bool is_still(const struct survival *s)
{
	for (size_t i = s->count / 2; i < s->count; i++)
		if (s->born[i] || s->in_use[i] != s->in_use[s->count / 2])
			return false;
	return true;
}

struct verdict survival_verdict(const struct survival *s, double sigma)
{
	struct verdict v = {.word = VERDICT_TOO_EARLY};
	struct span old = old_of(s);

	if (s->count <= MIN_GENERATIONS)
		v.generations = (uint32_t)s->count - 1;
	else if (!s->blocks[s->count - 1] || is_still(s))
		v.word = VERDICT_STEADY;
	else if (old.to < old.from + MIN_OLD)
		v.generations = (uint32_t)(s->count - old.from);
	else if (leaks(s, old))
		v = leak(s, old);
	else
		v = by_trend(s, old, sigma);
	if (v.word == VERDICT_TOO_EARLY && !v.step)
		for (size_t i = 0; i < s->count; i++) {
			v.born += s->born[i];
			v.alive += s->alive[i];
		}
	v.seconds = now(s) - s->begin;
	return v;
}
