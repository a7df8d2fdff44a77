/* Which contexts to show, and in which order. */
#include <errno.h>
#include <stdlib.h>

#include "heap/snapshot.h"

struct ranked {
	uint64_t key;
	uint32_t id;
};

static uint64_t key_of(const struct region_context *c, enum snapshot_order order)
{
	switch (order) {
	case SNAPSHOT_BY_BLOCKS:
		return c->allocs - c->frees;
	case SNAPSHOT_BY_ALLOCS:
		return c->allocs;
	case SNAPSHOT_BY_BYTES:
		break;
	}
	return c->allocated_bytes - c->freed_bytes;
}

/* Largest key first; lower id first among equals, so that the order is one. */
static int compare(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

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
			ranked[n++] = (struct ranked){key_of(c, order), id};
	}
	qsort(ranked, n, sizeof(*ranked), compare);
	for (size_t i = 0; i < n; i++)
		ids[i] = ranked[i].id;
	free(ranked);
	*ret = ids;
	*count = n;
	return 0;
}
