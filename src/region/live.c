/*
 * A table with a place for each address, made piece by piece.
 *
 * A chunk is a piece of the shared memory: 8192 entries, for 8192 << shift bytes of addresses.
 * The directory finds it by a hash and at most PROBES steps; who is the first in a chunk enters
 * its key, and then its piece, each by a compare-and-swap: whoever finds a key without a piece
 * may bring one, so nobody waits for the first.
 */
#include "region/live.h"

#include "region/atom.h"

enum { PROBES = 16, ENTRY_BITS = 13, ENTRIES = 1 << ENTRY_BITS };
enum { SIZE_BITS = 32, LOW_BITS = 5, AGE_AT = SIZE_BITS + LOW_BITS, CONTEXT_AT = AGE_AT + 6 };
enum { SAMPLED_BITS = 26 };
#define SAMPLED (1u << 31)
_Static_assert((int)SAMPLE_MOST <= (int)SAMPLED_BITS, "sizes of samples are below 1 << level");
_Static_assert(ENTRIES * sizeof(uint64_t) == SHARED_PIECE, "a chunk is a piece");

static struct shared_chunk *chunk_at(const struct shared *shared, uint32_t slot)
{
	return shared_at(shared, SHARED_DIRECTORY_AT +
					 slot % SHARED_DIRECTORY * sizeof(struct shared_chunk));
}

/* 0: no address that a chunk could be for. */
static uint32_t key_of(const struct shared *shared, uint64_t addr)
{
	uint64_t key = addr >> (shared->shift + ENTRY_BITS);

	return key < UINT32_MAX ? (uint32_t)key + 1 : 0;
}

/* Its chunk's place in the directory, if there is one; make: or a free one that is its now. */
static struct shared_chunk *chunk_find(const struct shared *shared, uint32_t key, bool make)
{
	uint32_t slot = (key * 0x9e3779b1u) >> 16;

	for (unsigned i = 0; key && i < PROBES; i++, slot++) {
		struct shared_chunk *chunk = chunk_at(shared, slot);
		uint32_t is = atom_load32(&chunk->key);

		if (!is && !make)
			return NULL;
		if (!is)
			is = atom_swap32(&chunk->key, 0, key);
		if (!is || is == key)
			return chunk;
	}
	if (key && make)
		shared_full(shared, SHARED_PART_DIRECTORY);
	return NULL;
}

static uint64_t *entry_in(const struct shared *shared, uint64_t *entries, uint64_t addr)
{
	return entries ? &entries[addr >> shared->shift & (ENTRIES - 1)] : NULL;
}

static uint64_t *entry_find(const struct shared *shared, uint64_t addr)
{
	struct shared_chunk *chunk = chunk_find(shared, key_of(shared, addr), false);

	return chunk ? entry_in(shared, shared_piece_at(shared, &chunk->piece), addr) : NULL;
}

static uint64_t *entry_make(const struct shared *shared, uint64_t addr)
{
	struct shared_chunk *chunk = chunk_find(shared, key_of(shared, addr), true);

	return chunk ? entry_in(shared, shared_piece(shared, &chunk->piece), addr) : NULL;
}

static uint64_t low_of(const struct shared *shared, uint64_t addr)
{
	return (addr & ((1ull << shared->shift) - 1)) & ((1u << LOW_BITS) - 1);
}

uint64_t *live_place(const struct shared *shared, uint64_t addr, uint64_t size)
{
	uint64_t *entry = addr && size <= LIVE_MAX_SIZE ? entry_make(shared, addr) : NULL;

	return entry && !atom_load_whole(entry) ? entry : NULL;
}

/* No other block can begin where this one's entry is. */
static inline bool is_alone(const struct shared *shared, const struct live_block *block)
{
	return !low_of(shared, block->addr) && block->size >> shared->shift;
}

bool live_note_aged(const struct shared *shared, uint64_t *place, const struct live_block *block)
{
	uint64_t entry = (uint64_t)block->context << CONTEXT_AT |
			 (uint64_t)(block->age % LIVE_AGES) << AGE_AT |
			 low_of(shared, block->addr) << SIZE_BITS | block->size;

	if (!sample_is_whole(block->level, block->size))
		entry |= SAMPLED | block->level << SAMPLED_BITS;
	if (!is_alone(shared, block))
		return atom_claim64(place, entry);
	if (atom_load_whole(place))
		return false;
	atom_store_whole(place, entry); /* (a claim takes 4 ns) */
	return true;
}

bool live_note(const struct shared *shared, uint64_t *place, uint64_t addr, uint32_t context,
	       uint64_t size)
{
	const struct live_block block = {.addr = addr,
					 .size = size,
					 .context = context,
					 .age = atom_load32(&shared_told(shared)->age)};

	return live_note_aged(shared, place, &block);
}

static uint32_t age_in(uint64_t entry)
{
	return (uint32_t)(entry >> AGE_AT) % LIVE_AGES;
}

static void decode(uint64_t entry, struct live_block *ret)
{
	ret->size = entry & LIVE_MAX_SIZE;
	ret->level = 0;
	if (entry & SAMPLED) {
		ret->level = (uint32_t)ret->size >> SAMPLED_BITS;
		ret->size &= (1u << SAMPLED_BITS) - 1;
	}
	ret->context = (uint32_t)(entry >> CONTEXT_AT);
	ret->age = age_in(entry);
}

static uint64_t low_in(uint64_t entry)
{
	return entry >> SIZE_BITS & ((1u << LOW_BITS) - 1);
}

bool live_find(const struct shared *shared, uint64_t addr, struct live_block *ret)
{
	uint64_t *at = entry_find(shared, addr);
	uint64_t entry = at ? atom_load_whole(at) : 0;

	if (!entry || low_in(entry) != low_of(shared, addr))
		return false;
	decode(entry, ret);
	ret->addr = addr;
	ret->entry = at;
	return true;
}

void live_remove(const struct live_block *block)
{
	atom_store_whole(block->entry, 0);
}

static void visit_chunk(const struct shared *shared, const struct shared_chunk *chunk,
			void (*visit)(void *arg, const struct live_block *block), void *arg)
{
	uint64_t *entries = shared_piece_at(shared, &chunk->piece);
	uint64_t begin = (uint64_t)(atom_load32(&chunk->key) - 1)
			 << (shared->shift + ENTRY_BITS);

	for (uint64_t i = 0; entries && i < ENTRIES; i++) {
		uint64_t entry = atom_load_whole(&entries[i]);
		struct live_block block = {.addr = begin + (i << shared->shift) + low_in(entry),
					   .entry = &entries[i]};

		if (!entry)
			continue;
		decode(entry, &block);
		visit(arg, &block);
	}
}

void live_for_each(const struct shared *shared,
		   void (*visit)(void *arg, const struct live_block *block), void *arg)
{
	for (uint32_t slot = 0; slot < SHARED_DIRECTORY; slot++)
		if (atom_load32(&chunk_at(shared, slot)->key))
			visit_chunk(shared, chunk_at(shared, slot), visit, arg);
}

static void age_change(void *arg, const struct live_block *block)
{
	const uint8_t *to = arg;
	uint64_t entry = atom_load_whole(block->entry);
	uint64_t age = to[age_in(entry)] % LIVE_AGES;

	if (entry && age != age_in(entry)) /* (or it has just been freed) */
		atom_replace64(block->entry, entry,
			       (entry & ~((LIVE_AGES - 1ull) << AGE_AT)) | age << AGE_AT);
}

void live_ages_change(const struct shared *shared, const uint8_t to[LIVE_AGES])
{
	live_for_each(shared, age_change, (void *)to);
}
