/*
 * Interning without locks.
 *
 *    index   | . | 17 | . | . | 9 | 12 | . |      a slot: 0, or a node's number, for ever
 *                        probe: -->
 *
 * A slot is filled once and never changes.  So two threads that enter the same {frame, parent}
 * come to the same free slot, one fills it, and the other finds it filled by his like.  The
 * node that he had made is nobody's.
 *
 * The same for a leaf's context: its number is put into the node by one compare-and-swap; the
 * loser's number is one whose counters stay zero.
 */
#include "region/interned.h"

#include "region/atom.h"
#include "region/tables.h"

enum { PROBES = 64 };

static struct shared_node *node_at(const struct shared *shared, uint32_t node)
{
	return shared_at(shared,
			 SHARED_NODES_AT + node % SHARED_NODES * sizeof(struct shared_node));
}

static uint32_t *slot_at(const struct shared *shared, uint32_t slot)
{
	return shared_at(shared, SHARED_INDEX_AT + slot % SHARED_INDEX * sizeof(uint32_t));
}

static uint32_t *leaf_at(const struct shared *shared, uint32_t context)
{
	return shared_at(shared,
			 SHARED_CONTEXTS_AT + context % SHARED_CONTEXTS * sizeof(uint32_t));
}

static uint32_t home(frame_t frame, uint32_t parent)
{
	return (uint32_t)(tables_hash(frame ^ (parent * 0x9fb21c651e98df25ull)) >> 40);
}

static bool is_node(const struct shared *shared, uint32_t node, frame_t frame, uint32_t parent)
{
	const struct shared_node *n = node_at(shared, node);

	return n->frame == frame && n->parent == parent;
}

/* A new node; nobody knows it yet. */
static uint32_t node_make(const struct shared *shared, frame_t frame, uint32_t parent)
{
	uint32_t node = shared_number(&shared_taken(shared)->nodes, SHARED_NODES);

	if (node < WALK_ENDS)
		return 0;
	node_at(shared, node)->frame = frame;
	node_at(shared, node)->parent = parent;
	return node;
}

/* 0 (which is a root, and never a child): no room. */
uint32_t interned_child(const struct shared *shared, frame_t frame, uint32_t parent)
{
	uint32_t slot = home(frame, parent), mine = 0;

	for (unsigned i = 0; i < PROBES; i++, slot++) {
		uint32_t node = atom_load32(slot_at(shared, slot));

		if (!node) {
			if (!mine && !(mine = node_make(shared, frame, parent)))
				break;
			node = atom_swap32(slot_at(shared, slot), 0, mine);
			if (!node)
				return mine;
		}
		if (is_node(shared, node, frame, parent))
			return node;
	}
	shared_full(shared, SHARED_PART_NODES);
	return 0;
}

uint32_t interned_context_of(const struct shared *shared, uint32_t leaf)
{
	uint32_t *context = &node_at(shared, leaf)->context;
	uint32_t number = atom_load32(context), mine;

	if (number)
		return number % SHARED_CONTEXTS;
	mine = shared_number(&shared_taken(shared)->contexts, SHARED_CONTEXTS);
	if (!mine) {
		shared_full(shared, SHARED_PART_CONTEXTS);
		return 0;
	}
	atom_store32(leaf_at(shared, mine), leaf);
	number = atom_swap32(context, 0, mine);
	return number ? number % SHARED_CONTEXTS : mine;
}

uint32_t interned_context(const struct shared *shared, const frame_t *frames, size_t count,
			  enum walk_end end)
{
	uint32_t node = (uint32_t)end;

	for (size_t i = count; i-- > 0;) {
		node = interned_child(shared, frames[i], node);
		if (!node)
			return 0;
	}
	return node < WALK_ENDS ? 0 : interned_context_of(shared, node);
}

static uint32_t below(const uint32_t *next, uint32_t end)
{
	uint32_t count = atom_load32(next);

	return count < end ? count : end;
}

uint32_t interned_contexts(const struct shared *shared)
{
	return below(&shared_taken(shared)->contexts, SHARED_CONTEXTS);
}

uint32_t interned_nodes(const struct shared *shared)
{
	return below(&shared_taken(shared)->nodes, SHARED_NODES);
}

uint32_t interned_leaf(const struct shared *shared, uint32_t context)
{
	uint32_t leaf;

	if (!context || context >= interned_contexts(shared))
		return 0;
	leaf = atom_load32(leaf_at(shared, context));
	return leaf < interned_nodes(shared) ? leaf : 0;
}

bool interned_node(const struct shared *shared, uint32_t node, struct shared_node *ret)
{
	struct shared_node n;

	if (node < WALK_ENDS || node >= interned_nodes(shared))
		return false;
	n.frame = node_at(shared, node)->frame;
	n.parent = node_at(shared, node)->parent;
	n.context = atom_load32(&node_at(shared, node)->context);
	if (n.parent >= node)
		return false;
	*ret = n;
	return true;
}
