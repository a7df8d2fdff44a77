/* memtrace's side of known.h. */
#include "region/known.h"

bool known_pc_add(const struct shared *shared, uint64_t pc, bool exact, frame_t frame,
		  const struct row *row)
{
	uint64_t key = pc * 2 + exact;
	uint32_t slot = (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 40);

	for (unsigned i = 0; i < KNOWN_PROBES; i++) {
		struct shared_pc *known = known_pc_at(shared, slot + i);

		if (known->key == key)
			return true;
		if (known->key)
			continue;
		known->frame = frame;
		known->row = *row;
		atom_store64(&known->key, key);
		return true;
	}
	return false;
}

/* What no walk has a use for any more is zero; only pages that were used are written to. */
void known_pcs_forget(const struct shared *shared)
{
	uint32_t *sequence = &shared_told(shared)->sequence;

	atom_store32(sequence, *sequence | 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t slot = 0; slot < SHARED_PCS; slot++)
		if (known_pc_at(shared, slot)->key)
			atom_store64(&known_pc_at(shared, slot)->key, 0);
	atom_store32(sequence, (*sequence | 1) + 1);
}

uint32_t known_thread_set(const struct shared *shared, uint64_t pointer, uint64_t low,
			  uint64_t high)
{
	uint32_t home = known_thread_home(pointer);

	for (unsigned i = 0; pointer && i < KNOWN_PROBES; i++) {
		struct shared_place *place = known_place(shared, home + i);

		if (place->pointer && place->pointer != pointer)
			continue;
		atom_store64(&place->low, low);
		atom_store64(&place->high, high);
		atom_store64(&place->pointer, pointer);
		return (home + i) % SHARED_THREADS;
	}
	return KNOWN_NONE;
}
