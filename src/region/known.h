/*
 * What memtrace has told the agent: the rows of pcs, and the threads.
 *
 * One writer, memtrace; the agent reads at any time.  An item is filled, then entered by its
 * key, released.  Pcs are forgotten all at once (modules came or went, rows became better): a
 * sequence is odd meanwhile, and a walk counts only if the sequence was even and the same
 * before it and behind it.
 */
#ifndef MEMTRACE_KNOWN_H
#define MEMTRACE_KNOWN_H

#include "region/atom.h"
#include "region/shared.h"

enum { KNOWN_PROBES = 16, KNOWN_NONE = SHARED_THREADS };

static inline struct shared_pc *known_pc_at(const struct shared *shared, uint32_t slot)
{
	return (struct shared_pc *)shared_at(shared, SHARED_PCS_AT) + slot % SHARED_PCS;
}

/* NULL: not known. */
static inline const struct shared_pc *known_pc(const struct shared *shared, uint64_t pc,
					       bool exact)
{
	uint64_t key = pc * 2 + exact;
	uint32_t slot = (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 40);

	for (unsigned i = 0; i < KNOWN_PROBES; i++) {
		const struct shared_pc *known = known_pc_at(shared, slot + i);
		uint64_t is = atom_load64(&known->key);

		if (is == key && key)
			return known;
		if (!is)
			break;
	}
	return NULL;
}

static inline struct shared_place *known_place(const struct shared *shared, uint32_t thread)
{
	return (struct shared_place *)shared_at(shared, SHARED_PLACES_AT) +
	       thread % SHARED_THREADS;
}

static inline struct shared_thread *known_thread_at(const struct shared *shared,
						    uint32_t thread)
{
	return (struct shared_thread *)shared_at(shared, SHARED_THREADS_AT) +
	       thread % SHARED_THREADS;
}

/* The numbers of places that were ever taken, [0 .. told->threads). */
static inline uint16_t *known_list(const struct shared *shared)
{
	return shared_at(shared, SHARED_LIST_AT);
}

static inline uint32_t known_threads(const struct shared *shared)
{
	uint32_t count = atom_load32(&shared_told(shared)->threads);

	return count < SHARED_THREADS ? count : SHARED_THREADS;
}

static inline uint32_t known_thread_home(uint64_t pointer)
{
	return (uint32_t)((pointer * 0x9e3779b97f4a7c15ull) >> 40);
}

/* Its number; KNOWN_NONE: it is not known. */
static inline uint32_t known_thread(const struct shared *shared, uint64_t pointer)
{
	uint32_t home = known_thread_home(pointer);

	for (unsigned i = 0; pointer && i < KNOWN_PROBES; i++) {
		uint64_t is = atom_load64(&known_place(shared, home + i)->pointer);

		if (is == pointer)
			return (home + i) % SHARED_THREADS;
		if (!is)
			break;
	}
	return KNOWN_NONE;
}

static inline uint32_t known_sequence(const struct shared *shared)
{
	return atom_load32(&shared_told(shared)->sequence);
}

/* ---- memtrace's side --------------------------------------------------------- */

/* False: there is no room where it would be looked for. */
bool known_pc_add(const struct shared *shared, uint64_t pc, bool exact, frame_t frame,
		  const struct row *row);
void known_pcs_forget(const struct shared *shared);

/* A thread, which is stopped, and its stack; low = high = 0: it is not to be counted in its own
 * name.  Returns its number, or KNOWN_NONE where there is no room. */
uint32_t known_thread_set(const struct shared *shared, uint64_t pointer, uint64_t low,
			  uint64_t high);

#endif
