/* Choosing, and counting what does not count; see choice.h. */
#include "agent/choice.h"

#include "agent/alone.h"
#include "region/atom.h"
#include "region/known.h"

/* One that is too small is said once: calloc, which calls malloc, returns what that has. */
static ALONE void note_small(struct shared_thread *own, uint64_t slot, const struct choice *is)
{
	if (!is->moves || !sample_is_outer(own->last_alloc, own->small_slot, is->addr, slot))
		atom_add64(&own->small, 1);
	atom_store64(&own->small_slot, slot);
}

ALONE bool choice_make(const struct shared *shared, uint32_t number, const struct agent_call *call,
		       struct choice *is)
{
	const struct shared_told *told = shared_told(shared);
	struct shared_thread *own = known_thread_at(shared, number);
	uint32_t level = atom_load32(&told->selects) % SHARED_SELECTS;
	uint64_t seed = told->seed ^ (number + 1ull) << 32;
	bool small = is->size < told->min_size;
	bool chosen = !small && sample_takes(&own->sampler, level, is->size, seed);

	if (small)
		note_small(own, call->slot, is);
	else if (!chosen)
		atom_add64(&own->passed, 1);
	is->level = sample_is_whole(level, is->size) ? 0 : level;
	atom_store64(&own->selected, !chosen	? call->slot | SHARED_PASSED
				     : is->level ? call->slot
						 : 0);
	return chosen;
}
