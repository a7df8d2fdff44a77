/* Which contexts to show, and in which order. */
#include <errno.h>
#include <stdlib.h>

#include "heap/verdicts.h"

const char *const snapshot_orders[] = {
	[SNAPSHOT_BY_VERDICT] = "verdict", [SNAPSHOT_BY_BYTES] = "bytes",
	[SNAPSHOT_BY_BLOCKS] = "blocks",   [SNAPSHOT_BY_ALLOCS] = "allocs",
	[SNAPSHOT_BY_GROWTH] = "growth",   [SNAPSHOT_BY_AGE] = "age",
	[SNAPSHOT_BY_RATE] = "rate",	   NULL,
};

struct ranked {
	double first;
	uint64_t key;
	uint32_t id;
};

/* What is known of its growth. */
static double growth_of(const struct snapshot *s, uint32_t id, enum snapshot_order order)
{
	const struct verdict *v = s->verdicts && id < s->verdicts->count ? &s->verdicts->at[id]
									 : NULL;
	const double leaks_first = 1e30;

	if (!v || v->word < VERDICT_GROWS)
		return 0;
	if (order == SNAPSHOT_BY_GROWTH)
		return v->per_hour;
	return (v->word == VERDICT_LEAKS ? leaks_first : 1) *
	       (1 + (v->lowest > 0 ? v->lowest : 0));
}

static double first_of(const struct snapshot *s, uint32_t id, enum snapshot_order order)
{
	const struct region_context *c = &s->contexts[id];

	switch (order) {
	case SNAPSHOT_BY_VERDICT:
	case SNAPSHOT_BY_GROWTH:
		return growth_of(s, id, order);
	case SNAPSHOT_BY_AGE:
		return c->allocs ? (double)s->ticks_now - (double)c->last_time : -1e10;
	case SNAPSHOT_BY_RATE:
		return (double)c->allocs / ((double)s->ticks_now - (double)c->first_time + 1);
	default:
		return 0;
	}
}

static uint64_t key_of(const struct region_context *c, enum snapshot_order order)
{
	switch (order) {
	case SNAPSHOT_BY_BLOCKS:
		return c->allocs - c->frees;
	case SNAPSHOT_BY_ALLOCS:
		return c->allocs;
	default:
		break;
	}
	return c->allocated_bytes - c->freed_bytes;
}

/* Largest key first; lower id first among equals, so that the order is one. */
static int compare(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->first > y->first || x->first < y->first)
		return x->first > y->first ? -1 : 1;
	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

int snapshot_select(const struct snapshot *snapshot, enum snapshot_order order, bool all,
		    uint32_t **ret, size_t *count, struct err *err)
{
	struct ranked *ranked = malloc(((size_t)snapshot->context_count + 1) * sizeof(*ranked));
	uint32_t *ids = malloc(((size_t)snapshot->context_count + 1) * sizeof(*ids));
	size_t n = 0;

	if (!ranked || !ids) {
		free(ranked);
		free(ids);
		return err_set(err, -ENOMEM, "out of memory to sort %u call stacks",
			       snapshot->context_count);
	}
	for (uint32_t id = 0; id < snapshot->context_count; id++) {
		const struct region_context *c = &snapshot->contexts[id];

		if (all ? c->allocs > 0 : c->allocs > c->frees)
			ranked[n++] = (struct ranked){first_of(snapshot, id, order),
						       key_of(c, order), id};
	}
	qsort(ranked, n, sizeof(*ranked), compare);
	for (size_t i = 0; i < n; i++)
		ids[i] = ranked[i].id;
	free(ranked);
	*ret = ids;
	*count = n;
	return 0;
}
