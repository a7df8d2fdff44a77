/*
 * Generations, and how they are bounded:
 *
 *   seconds      0 1 2 3 4 5 ... 31 32          32 of a second each; then merged by pairs to 16
 *                | | | | | | ... |  |           of two, and the next ones take two; and so on
 *                |   |   |   ...    |   |   |
 *
 * Most contexts do nothing most of the time, so that a generation is a list of changes, not a
 * table: some ten bytes a context that allocated.  Where the lists are beyond their limit they
 * are merged earlier, to no less than GENERATIONS_MIN.
 */
#include "heap/generations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/leb128.h"

enum { MAX_CHANGE = 5 * LEB128_MAX };

/* ---- lists --------------------------------------------------------------------------------- */

struct list { /* a generation that is being written */
	uint8_t *bytes;
	size_t len, room;
	uint64_t last; /* id + 1 */
	bool failed;
};

static void list_add(struct list *l, uint64_t id, const struct mark_counters *c)
{
	uint8_t *grown, *at;

	if (l->room - l->len < MAX_CHANGE) {
		grown = realloc(l->bytes, l->room * 2 + 1024);
		l->failed |= !grown;
		if (!grown)
			return;
		l->bytes = grown;
		l->room = l->room * 2 + 1024;
	}
	at = leb128_put(l->bytes + l->len, id + 1 - l->last);
	at = leb128_put(at, c->allocs);
	at = leb128_put(at, c->frees);
	at = leb128_put(at, c->allocated_bytes);
	at = leb128_put(at, c->freed_bytes);
	l->last = id + 1;
	l->len = (size_t)(at - l->bytes);
}

/* As a generation; false: there was no memory. */
static bool list_end(struct list *l, uint32_t end, struct generation *ret)
{
	uint8_t *fit = l->failed ? NULL : realloc(l->bytes, l->len + 1);

	if (l->failed) {
		free(l->bytes);
		return false;
	}
	*ret = (struct generation){end, fit ? fit : l->bytes, l->len};
	return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void part_next(struct generations_walk *walk, size_t i)
{
	uint64_t step;

	if (!leb128_take(&walk->part[i].at, walk->part[i].end, &step))
		walk->part[i].next = 0;
	else
		walk->part[i].next += step;
}

void generations_walk_begin(struct generations_walk *walk, const struct generations *g)
{
	walk->g = g;
	for (size_t i = 0; i < g->count; i++) {
		walk->part[i].at = g->at[i].changes;
		walk->part[i].end = g->at[i].changes + g->at[i].len;
		walk->part[i].next = 0;
		part_next(walk, i);
	}
}

/* The counters behind an id. */
static bool take_counters(const uint8_t **at, const uint8_t *end, struct mark_counters *ret)
{
	return leb128_take(at, end, &ret->allocs) && leb128_take(at, end, &ret->frees) &&
	       leb128_take(at, end, &ret->allocated_bytes) && leb128_take(at, end, &ret->freed_bytes);
}

static struct mark_counters part_take(struct generations_walk *walk, size_t i, uint32_t id)
{
	struct mark_counters c = {0};

	while (walk->part[i].next && walk->part[i].next <= (uint64_t)id + 1) {
		bool is_it = walk->part[i].next == (uint64_t)id + 1;

		if (!take_counters(&walk->part[i].at, walk->part[i].end, &c))
			walk->part[i].at = walk->part[i].end;
		part_next(walk, i);
		if (is_it)
			return c;
	}
	return (struct mark_counters){0};
}

void generations_walk_to(struct generations_walk *walk, uint32_t id,
			 struct mark_counters ret[GENERATIONS_MAX])
{
	for (size_t i = 0; i < walk->g->count; i++)
		ret[i] = part_take(walk, i, id);
}

bool generations_are_valid(const uint8_t *changes, size_t len, uint32_t count)
{
	const uint8_t *at = changes, *end = changes + len;
	struct mark_counters c;
	uint64_t next = 0, step;

	while (at < end) {
		if (!leb128_take(&at, end, &step) || !step || step > count - next ||
		    !take_counters(&at, end, &c))
			return false;
		next += step;
	}
	return true;
}

static void counters_add(struct mark_counters *sum, const struct mark_counters *c)
{
	sum->allocs += c->allocs;
	sum->frees += c->frees;
	sum->allocated_bytes += c->allocated_bytes;
	sum->freed_bytes += c->freed_bytes;
}

void generations_apply(const uint8_t *changes, size_t len, struct mark_counters *counters)
{
	const uint8_t *at = changes, *end = changes + len;
	struct mark_counters c;
	uint64_t next = 0, step;

	while (leb128_take(&at, end, &step) && take_counters(&at, end, &c)) {
		next += step;
		counters_add(&counters[next - 1], &c);
	}
}

/* ---- merging --------------------------------------------------------------------------------- */

/* The changes of two, one behind the other. */
static bool merge(const struct generation *a, const struct generation *b,
		  struct generation *ret)
{
	const struct generations both = {.at = {*a, *b}, .count = 2};
	struct mark_counters c[GENERATIONS_MAX];
	struct generations_walk walk;
	struct list list = {0};

	generations_walk_begin(&walk, &both);
	while (walk.part[0].next || walk.part[1].next) {
		uint64_t x = walk.part[0].next, y = walk.part[1].next;
		uint64_t next = !x || (y && y < x) ? y : x;

		generations_walk_to(&walk, (uint32_t)(next - 1), c);
		counters_add(&c[0], &c[1]);
		list_add(&list, next - 1, &c[0]);
	}
	return list_end(&list, b->end, ret);
}

static void merge_pairs(struct generations *g)
{
	size_t kept = 0;

	for (size_t i = 0; i < g->count;) {
		struct generation both;

		if (i + 1 < g->count && merge(&g->at[i], &g->at[i + 1], &both)) {
			free(g->at[i].changes);
			free(g->at[i + 1].changes);
			g->at[kept++] = both;
			i += 2;
		} else {
			g->at[kept++] = g->at[i++];
		}
	}
	g->count = kept;
	g->ticks *= 2;
}

static size_t bytes_of(const struct generations *g)
{
	size_t sum = 0;

	for (size_t i = 0; i < g->count; i++)
		sum += g->at[i].len;
	return sum;
}

/* ---- writing --------------------------------------------------------------------------------- */

void generations_clear(struct generations *g, uint32_t now)
{
	for (size_t i = 0; i < g->count; i++)
		free(g->at[i].changes);
	free(g->last);
	*g = (struct generations){.max_bytes = g->max_bytes, .begin = now};
}

bool generations_are_due(const struct generations *g, uint32_t now)
{
	uint32_t since = g->count ? g->at[g->count - 1].end : g->begin;

	return now - since >= (g->ticks ? g->ticks : GENERATIONS_FIRST_TICKS);
}

static bool make_room(struct generations *g, uint32_t count)
{
	struct mark_counters *grown;

	if (count > g->last_count) {
		grown = realloc(g->last, count * sizeof(*grown));
		if (!grown)
			return false;
		memset(grown + g->last_count, 0, (count - g->last_count) * sizeof(*grown));
		g->last = grown;
		g->last_count = count;
	}
	if (g->count == GENERATIONS_MAX)
		merge_pairs(g);
	return g->count < GENERATIONS_MAX;
}

static bool has_begun_anew(const struct generations *g, const struct region_context *contexts,
			   uint32_t count)
{
	for (uint32_t i = 0; i < count && i < g->last_count; i++)
		if (contexts[i].frees < g->last[i].frees ||
		    contexts[i].freed_bytes < g->last[i].freed_bytes)
			return true;
	return count < g->last_count;
}

/* An allocation may have been taken back since (region_alloc()): then there was none. */
static uint64_t more(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void list_contexts(struct list *list, const struct generations *g,
			  const struct region_context *contexts, uint32_t count)
{
	for (uint32_t id = 0; id < count; id++) {
		const struct region_context *c = &contexts[id];
		const struct mark_counters *before = &g->last[id];
		const struct mark_counters change = {
			more(c->allocs, before->allocs), c->frees - before->frees,
			more(c->allocated_bytes, before->allocated_bytes),
			c->freed_bytes - before->freed_bytes};

		if (change.allocs || change.frees || change.allocated_bytes)
			list_add(list, id, &change);
	}
}

int generations_encode(const struct mark_counters *before, uint32_t before_count,
		       const struct mark_counters *after, uint32_t count, uint8_t **bytes,
		       size_t *len)
{
	static const struct mark_counters none;
	struct generation made;
	struct list list = {0};

	for (uint32_t id = 0; id < count; id++) {
		const struct mark_counters *a = id < before_count ? &before[id] : &none;
		const struct mark_counters change = {
			more(after[id].allocs, a->allocs), more(after[id].frees, a->frees),
			more(after[id].allocated_bytes, a->allocated_bytes),
			more(after[id].freed_bytes, a->freed_bytes)};

		if (change.allocs || change.frees)
			list_add(&list, id, &change);
	}
	if (!list_end(&list, 0, &made))
		return -ENOMEM;
	*bytes = made.changes;
	*len = made.len;
	return 0;
}

void generations_add(struct generations *g, const struct region_context *contexts,
		     uint32_t count, uint32_t now)
{
	struct list list = {0};

	if (has_begun_anew(g, contexts, count)) {
		generations_clear(g, now);
		return;
	}
	if (!g->ticks)
		g->ticks = GENERATIONS_FIRST_TICKS;
	if (!make_room(g, count))
		return;
	list_contexts(&list, g, contexts, count);
	if (!list_end(&list, now, &g->at[g->count]))
		return;
	g->count++;
	for (uint32_t id = 0; id < count; id++)
		g->last[id] = (struct mark_counters){contexts[id].allocs, contexts[id].frees,
						     contexts[id].allocated_bytes,
						     contexts[id].freed_bytes};
	while (bytes_of(g) > g->max_bytes && g->count >= 2 * GENERATIONS_MIN)
		merge_pairs(g);
}
