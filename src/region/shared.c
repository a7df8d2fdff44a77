/*
 * Numbers and pieces, which anybody may take and nobody gives back.
 *
 * A number is taken by one addition, and named by one compare-and-swap: who loses that race has
 * taken a number for nothing.
 */
#include "region/shared.h"

#include "region/atom.h"
#include "region/walk.h"

bool shared_init(const struct shared *shared, uint32_t depth)
{
	struct shared_told *told = shared_told(shared);

	if (shared->pieces < 1 || shared->pieces > SHARED_PIECES || shared->shift < 3 ||
	    shared->shift > 5 || !depth)
		return false;
	told->version = SHARED_VERSION;
	told->told_bytes = SHARED_TOLD_BYTES;
	told->depth = depth;
	*shared_taken(shared) =
		(struct shared_taken){.nodes = WALK_ENDS, .contexts = 1, .pieces = 1};
	atom_store64(&told->magic, SHARED_MAGIC);
	return true;
}

bool shared_is_sound(const struct shared *shared)
{
	const struct shared_told *told = shared_told(shared);

	return atom_load64(&told->magic) == SHARED_MAGIC && told->version == SHARED_VERSION &&
	       told->told_bytes == SHARED_TOLD_BYTES;
}

bool shared_is_full(const struct shared *shared, enum shared_part part)
{
	return atom_load32(&shared_taken(shared)->full) >> part & 1;
}

void shared_full(const struct shared *shared, enum shared_part part)
{
	if (!shared_is_full(shared, part)) /* (no write where it is known) */
		__atomic_fetch_or(&shared_taken(shared)->full, 1u << part, __ATOMIC_RELAXED);
}

/* Looked at first: `next` stays below end + as many as ask at once. */
uint32_t shared_number(uint32_t *next, uint32_t end)
{
	uint32_t number = atom_load32(next);

	if (number && number < end)
		number = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
	return number < end ? number : 0;
}

static void *piece(const struct shared *shared, uint32_t number)
{
	if (!number || number > shared->pieces)
		return NULL;
	return shared_at(shared, SHARED_PIECES_AT + (uint64_t)(number - 1) * SHARED_PIECE);
}

void *shared_piece_at(const struct shared *shared, const uint32_t *ref)
{
	return piece(shared, atom_load32(ref));
}

void *shared_piece(const struct shared *shared, uint32_t *ref)
{
	uint32_t number = atom_load32(ref), mine, theirs;

	if (number)
		return piece(shared, number);
	mine = shared_number(&shared_taken(shared)->pieces, shared->pieces + 1);
	if (!mine) {
		shared_full(shared, SHARED_PART_PIECES);
		return NULL;
	}
	theirs = atom_swap32(ref, 0, mine);
	return piece(shared, theirs ? theirs : mine);
}
