/* Where the counters are, and their sums. */
#include "region/counters.h"

#include "region/atom.h"
#include "region/known.h"

enum { PER_PIECE = SHARED_PIECE / sizeof(struct shared_counters) };
_Static_assert(SHARED_REFS *PER_PIECE == SHARED_CONTEXTS, "each context has its counters");

static uint32_t *ref_at(const struct shared *shared, uint32_t thread, uint32_t context)
{
	uint64_t ref = (uint64_t)(thread % SHARED_THREADS) * SHARED_REFS +
		       context % SHARED_CONTEXTS / PER_PIECE;

	return shared_at(shared, SHARED_REFS_AT + ref * sizeof(uint32_t));
}

struct shared_counters *counters_of(const struct shared *shared, uint32_t thread,
				    uint32_t context)
{
	struct shared_counters *piece = shared_piece(shared, ref_at(shared, thread, context));

	return piece ? &piece[context % PER_PIECE] : NULL;
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
		c += id % PER_PIECE;
		if (frees) {
			ret[id].frees += atom_load64(&c->frees);
			ret[id].freed_bytes += atom_load64(&c->freed_bytes);
		} else {
			ret[id].allocs += atom_load64(&c->allocs);
			ret[id].allocated_bytes += atom_load64(&c->allocated_bytes);
		}
	}
}

void counters_sum(const struct shared *shared, struct shared_counters *ret, uint32_t count)
{
	if (count > SHARED_CONTEXTS)
		count = SHARED_CONTEXTS;
	for (int frees = 1; frees >= 0; frees--)
		for (uint32_t thread = 0; thread < SHARED_THREADS; thread++)
			if (atom_load64(&known_place(shared, thread)->pointer))
				add_thread(shared, thread, ret, count, frees);
}
