/* memtrace's side of known.h. */
#include "region/known.h"

static uint32_t page_of(uint32_t slot)
{
	return slot % SHARED_PCS / SHARED_PCS_OF_PAGE;
}

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
		shared_told(shared)->pcs_used[page_of(slot + i) / 32] |=
			1u << page_of(slot + i) % 32;
		known->frame = frame;
		known->row = *row;
		atom_store64(&known->key, key);
		return true;
	}
	return false;
}

static void page_forget(const struct shared *shared, uint32_t page)
{
	for (uint32_t i = 0; i < SHARED_PCS_OF_PAGE; i++)
		atom_store64(&known_pc_at(shared, page * SHARED_PCS_OF_PAGE + i)->key, 0);
}

/* (A page of the file that was only read would take memory, too.) */
void known_pcs_forget(const struct shared *shared)
{
	uint32_t *sequence = &shared_told(shared)->sequence;

	atom_store32(sequence, *sequence | 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t page = 0; page < SHARED_PCS_PAGES; page++)
		if (shared_told(shared)->pcs_used[page / 32] >> page % 32 & 1)
			page_forget(shared, page);
	for (uint32_t i = 0; i < SHARED_PCS_PAGES / 32; i++)
		shared_told(shared)->pcs_used[i] = 0;
	atom_store32(sequence, (*sequence | 1) + 1);
}

static void list_add(const struct shared *shared, uint32_t number)
{
	uint32_t count = known_threads(shared);

	if (count == SHARED_THREADS) /* never: each is there once */
		return;
	known_list(shared)[count] = (uint16_t)number;
	atom_store32(&shared_told(shared)->threads, count + 1);
}

uint32_t known_thread_set(const struct shared *shared, uint64_t pointer, uint64_t low,
			  uint64_t high)
{
	uint32_t home = known_thread_home(pointer);

	for (unsigned i = 0; pointer && i < KNOWN_PROBES; i++) {
		struct shared_place *place = known_place(shared, home + i);

		if (place->pointer && place->pointer != pointer)
			continue;
		if (!place->pointer)
			list_add(shared, (home + i) % SHARED_THREADS);
		atom_store64(&place->low, low);
		atom_store64(&place->high, high);
		atom_store64(&place->pointer, pointer);
		return (home + i) % SHARED_THREADS;
	}
	return KNOWN_NONE;
}
