/*
 * The list of mappings; see mapped.h.
 *
 * It is sorted, the highest address first, as the kernel gives new mappings the highest hole
 * there is, from the top down: so most are put at its end.  One that is not moves what is
 * behind it, 24 bytes each.
 */
#include "heap/mapped.h"

#include <string.h>

#include "base/order.h"
#include "elf/maps.h"

void mapped_deinit(struct mapped *mapped)
{
	vec_deinit(&mapped->list);
	vec_deinit(&mapped->taken);
}

void mapped_clear(struct mapped *mapped)
{
	vec_clear(&mapped->list);
	vec_clear(&mapped->taken);
	mapped->lost = 0;
}

/* The first whose begin is below addr: all that comes before lies at addr or above. */
static size_t place_of(const struct mapped *mapped, taddr_t addr)
{
	return order_count(mapped->list.len, i, mapped->list.at[i].begin >= addr);
}

static void insert(struct mapped *mapped, size_t at, const struct mapped_range *range)
{
	struct mapped_range *list;

	if (!vec_reserve(&mapped->list, mapped->list.len + 1)) {
		mapped->lost++;
		return;
	}
	list = mapped->list.at;
	memmove(&list[at + 1], &list[at], (mapped->list.len - at) * sizeof(*list));
	list[at] = *range;
	mapped->list.len++;
}

static void drop(struct mapped *mapped, size_t first, size_t count)
{
	struct mapped_range *list = mapped->list.at;

	if (!count)
		return;
	memmove(&list[first], &list[first + count],
		(mapped->list.len - first - count) * sizeof(*list));
	mapped->list.len -= count;
}

/* Notes what a call takes, part by part. */
static void take_part(struct mapped *mapped, const struct mapped_taken *call,
		      const struct mapped_range *range, taddr_t begin, taddr_t end)
{
	struct mapped_taken taken = *call;

	taken.below = range->begin < begin;
	taken.above = range->end > end;
	taken.range = *range;
	if (taken.below)
		taken.range.begin = begin;
	if (taken.above)
		taken.range.end = end;
	if (!vec_push(&mapped->taken, taken))
		mapped->lost++;
}

/* call: whose; NULL: what is removed is gone. */
static void cut(struct mapped *mapped, taddr_t begin, taddr_t end,
		const struct mapped_taken *call)
{
	size_t first = place_of(mapped, end), last = first;
	struct mapped_range above = {0}, below = {0};

	if (begin >= end)
		return;
	for (; last < mapped->list.len && mapped->list.at[last].end > begin; last++) {
		const struct mapped_range *range = &mapped->list.at[last];

		if (range->end > end) {
			above = *range;
			above.begin = end;
		}
		if (range->begin < begin) {
			below = *range;
			below.end = begin;
		}
		if (call)
			take_part(mapped, call, range, begin, end);
	}
	drop(mapped, first, last - first);
	if (below.end)
		insert(mapped, first, &below);
	if (above.end)
		insert(mapped, first, &above);
}

void mapped_remove(struct mapped *mapped, taddr_t begin, taddr_t end)
{
	cut(mapped, begin, end, NULL);
}

void mapped_add(struct mapped *mapped, const struct mapped_range *range)
{
	if (range->begin >= range->end)
		return;
	mapped_remove(mapped, range->begin, range->end);
	insert(mapped, place_of(mapped, range->begin), range);
}

void mapped_extend(struct mapped *mapped, const struct mapped_range *range)
{
	size_t at;

	if (range->begin >= range->end)
		return;
	mapped_remove(mapped, range->begin, range->end);
	at = place_of(mapped, range->begin);
	if (at < mapped->list.len && mapped->list.at[at].end == range->begin &&
	    mapped->list.at[at].context == range->context)
		mapped->list.at[at].end = range->end;
	else
		insert(mapped, at, range);
}

/* ---- calls that may fail --------------------------------------------------------- */

/* As it was, one with what it was cut from. */
static void put_back(struct mapped *mapped, const struct mapped_taken *taken)
{
	struct mapped_range range = taken->range;
	const struct mapped_range *list;
	size_t at;

	mapped_remove(mapped, range.begin, range.end);
	at = place_of(mapped, range.begin);
	list = mapped->list.at;
	if (taken->below && at < mapped->list.len && list[at].end == range.begin &&
	    list[at].context == range.context) {
		range.begin = list[at].begin;
		drop(mapped, at, 1);
	}
	if (taken->above && at && list[at - 1].begin == range.end &&
	    list[at - 1].context == range.context) {
		range.end = list[at - 1].end;
		drop(mapped, --at, 1);
	}
	insert(mapped, at, &range);
}

/* Ends calls of the thread; of those at `slot` (0: of all) with what they took put back. */
static void settle(struct mapped *mapped, int tid, taddr_t slot, bool back, bool moved)
{
	size_t kept = 0;

	for (size_t i = 0; i < mapped->taken.len; i++) {
		const struct mapped_taken taken = mapped->taken.at[i];

		if (taken.tid != tid || (slot && taken.slot > slot)) {
			mapped->taken.at[kept++] = taken;
			continue;
		}
		/* (deeper ones were left by a longjmp) */
		if (slot && taken.slot != slot ? taken.moves : back || (moved && taken.moves))
			put_back(mapped, &taken);
	}
	mapped->taken.len = kept;
}

void mapped_take(struct mapped *mapped, int tid, taddr_t slot, bool moves, taddr_t begin,
		 taddr_t end)
{
	const struct mapped_taken call = {.tid = tid, .slot = slot, .moves = moves};

	settle(mapped, tid, slot, false, true);
	cut(mapped, begin, end, &call);
}

void mapped_settle(struct mapped *mapped, int tid, taddr_t slot, bool back)
{
	settle(mapped, tid, slot, back, false);
}

void mapped_abandon(struct mapped *mapped, int tid)
{
	settle(mapped, tid, 0, false, true);
}

/* ---- what is there ----------------------------------------------------------------- */

void mapped_reconcile(struct mapped *mapped, const struct maps *maps)
{
	taddr_t hole = 0;

	for (size_t i = 0; i < maps->list.len; i++) {
		mapped_remove(mapped, hole, maps->list.at[i].begin);
		hole = maps->list.at[i].end;
	}
	mapped_remove(mapped, hole, UINT64_MAX);
}

static int by_context(const void *a, const void *b)
{
	const struct mapped_sum *x = a, *y = b;

	return order_u64(x->context, y->context);
}

static int by_bytes(const void *a, const void *b)
{
	const struct mapped_sum *x = a, *y = b;

	return order_u64(y->bytes, x->bytes) ?: by_context(a, b);
}

static size_t join(struct mapped_sum *sums, size_t count)
{
	size_t kept = 0;

	for (size_t i = 1; i < count; i++) {
		struct mapped_sum *sum = &sums[kept];

		if (sum->context != sums[i].context) {
			sums[++kept] = sums[i];
			continue;
		}
		sum->mappings += sums[i].mappings;
		sum->bytes += sums[i].bytes;
		if (sums[i].first_time < sum->first_time)
			sum->first_time = sums[i].first_time;
		if (sums[i].last_time > sum->last_time)
			sum->last_time = sums[i].last_time;
	}
	return count ? kept + 1 : 0;
}

bool mapped_sums(const struct mapped_range *list, size_t count, struct mapped_sum **ret,
		 size_t *sums)
{
	struct mapped_sum *all = calloc(count + 1, sizeof(*all));

	if (!all)
		return false;
	for (size_t i = 0; i < count; i++)
		all[i] = (struct mapped_sum){list[i].context, list[i].time, list[i].time, 1,
					     list[i].end - list[i].begin};
	qsort(all, count, sizeof(*all), by_context);
	*sums = join(all, count);
	qsort(all, *sums, sizeof(*all), by_bytes);
	*ret = all;
	return true;
}
