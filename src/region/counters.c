/* Where the counters are, and their sums. */
#include "region/counters.h"

#include "region/atom.h"
#include "region/known.h"

enum { PER_PIECE = SHARED_PIECE / sizeof(struct shared_counters) };
_Static_assert(SHARED_REFS *PER_PIECE == SHARED_CONTEXTS, "each context has its counters");

static uint32_t *ref_at(const struct shared *shared, uint32_t thread, uint32_t context)
{
	uint64_t ref = (uint64_t)(thread < SHARED_THREADS ? thread : SHARED_THREADS) * SHARED_REFS +
		       context % SHARED_CONTEXTS / PER_PIECE;

	return shared_at(shared, SHARED_REFS_AT + ref * sizeof(uint32_t));
}

struct shared_counters *counters_of(const struct shared *shared, uint32_t thread,
				    uint32_t context)
{
	struct shared_counters *piece = shared_piece(shared, ref_at(shared, thread, context));

	return piece ? &piece[context % PER_PIECE] : NULL;
}

static void add(const struct shared_counters *c, struct shared_counters *ret, bool frees)
{
	if (frees) {
		ret->frees += atom_load_whole(&c->frees);
		ret->freed_bytes += atom_load_whole(&c->freed_bytes);
	} else {
		ret->allocs += atom_load_whole(&c->allocs);
		ret->allocated_bytes += atom_load_whole(&c->allocated_bytes);
	}
}

static void add_thread(const struct shared *shared, uint32_t thread,
		       struct shared_counters *ret, uint32_t count, bool frees)
{
	for (uint32_t id = 0; id < count; id++) {
		const struct shared_counters *c =
			shared_piece_at(shared, ref_at(shared, thread, id));

		if (!c) { /* the next piece */
			id += PER_PIECE - 1 - id % PER_PIECE;
			continue;
		}
		add(c + id % PER_PIECE, &ret[id], frees);
	}
}

/* Behind those of all places comes that of who has none. */
static uint32_t row_number(const struct shared *shared, uint32_t i, uint32_t threads)
{
	return i < threads ? known_list(shared)[i] : KNOWN_NONE;
}

void counters_sum(const struct shared *shared, struct shared_counters *ret, uint32_t count)
{
	uint32_t threads = known_threads(shared);

	if (count > SHARED_CONTEXTS)
		count = SHARED_CONTEXTS;
	for (int frees = 1; frees >= 0; frees--)
		for (uint32_t i = 0; i <= threads; i++)
			add_thread(shared, row_number(shared, i, threads), ret, count, frees);
}

void counters_sum_one(const struct shared *shared, uint32_t context,
		      struct shared_counters *ret)
{
	uint32_t threads = known_threads(shared);

	for (int frees = 1; frees >= 0; frees--)
		for (uint32_t i = 0; i <= threads; i++) {
			const struct shared_counters *c = shared_piece_at(
				shared, ref_at(shared, row_number(shared, i, threads), context));

			if (c)
				add(c + context % PER_PIECE, ret, frees);
		}
}
