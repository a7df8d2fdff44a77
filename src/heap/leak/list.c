/*
 * Nodes of lists: blocks of one size, each with a pointer to the next at one offset, of which none
 * leads on to two (that is a tree).
 *
 *     head --> node --> node --> ...      of held ones the tree of shortest paths has the way back
 *                        ^
 *              lost -----'                one that was taken out still says where it was
 *
 * Of two ends (a ring, a list with a tail) the one that is nearer is the head.
 */
#include "heap/leak/place.h"

enum {
	NODE_MOST = 4096, /* bytes */
	TABLE_MOST = 65536,
	STEPS_MOST = 1 << 24, /* from node to node, in all: a second */
};

/* Does an edge of `block` lead to a node like it? */
static bool is_alike(const struct leak *leak, uint32_t block, uint32_t target)
{
	return target != block && leak_size(leak, target) == leak_size(leak, block);
}

/* The one block like it that `block` leads to, `but` left out; LEAK_NONE: none, or several. */
static uint32_t only_next(const struct leak *leak, uint32_t block, uint32_t but)
{
	uint32_t only = LEAK_NONE;

	for (uint32_t e = leak->first[block]; e < leak->first[block + 1]; e++) {
		uint32_t target = leak->edges.at[e] & ~LEAK_INTERIOR;

		if (target == but || target == only || !is_alike(leak, block, target))
			continue;
		if (only != LEAK_NONE)
			return LEAK_NONE;
		only = target;
	}
	return only;
}

/* Three in a row, a -> b -> c: is it one list's? */
static bool is_chain(struct leak *leak, uint32_t a, uint32_t b, uint32_t c)
{
	uint64_t offset = leak_pointer_at(leak, a, b);

	return offset != UINT64_MAX && leak_pointer_at(leak, b, c) == offset;
}

/* ---- held ones ------------------------------------------------------------------------ */

/* The node behind a held one, on the shortest ways: what leads back is none of them. */
static uint32_t after(const struct leak *leak, uint32_t node)
{
	uint32_t only = LEAK_NONE;

	for (uint32_t e = leak->first[node]; e < leak->first[node + 1]; e++) {
		uint32_t target = leak->edges.at[e] & ~LEAK_INTERIOR;

		if (leak->parent[target] != node || target == only || !is_alike(leak, node, target))
			continue;
		if (only != LEAK_NONE)
			return LEAK_NONE;
		only = target;
	}
	return only;
}

/* The node before a held one; LEAK_NONE: it is the first, or none of a list. */
static uint32_t before(const struct leak *leak, uint32_t node)
{
	uint32_t parent = leak->parent[node];

	/* (asked first, as a table may lead to a million nodes) */
	if (parent & PARENT_ROOT || !is_alike(leak, parent, node))
		return LEAK_NONE;
	return after(leak, parent) == node ? parent : LEAK_NONE;
}

/* Is a held node one of three in a row? */
static bool is_listed(struct leak *leak, uint32_t node)
{
	uint32_t last = before(leak, node), next = after(leak, node), far;

	if (last != LEAK_NONE && next != LEAK_NONE)
		return is_chain(leak, last, node, next);
	if (last != LEAK_NONE) {
		far = before(leak, last);
		return far != LEAK_NONE && is_chain(leak, far, last, node);
	}
	far = next == LEAK_NONE ? LEAK_NONE : after(leak, next);
	return far != LEAK_NONE && is_chain(leak, node, next, far);
}

/* 0: not looked for, in a large table. */
static taddr_t pointer_address(struct leak *leak, uint32_t block, uint32_t target)
{
	uint64_t offset = leak_size(leak, block) > TABLE_MOST ? UINT64_MAX
							      : leak_pointer_at(leak, block, target);

	return offset == UINT64_MAX ? 0 : index_addr(&leak->index, block) + offset;
}

static bool held_head(struct leak *leak, uint32_t node, struct leak_place *ret)
{
	uint32_t last, parent;

	if (!is_listed(leak, node))
		return false;
	for (; (last = before(leak, node)) != LEAK_NONE; node = last)
		if (leak->list_steps++ >= STEPS_MOST)
			return false;
	parent = leak->parent[node];
	if (parent & PARENT_ROOT)
		place_of_root(leak, &leak->roots.at[parent & ~PARENT_ROOT], ret);
	else
		place_in_block(leak, parent, pointer_address(leak, parent, node), ret);
	return true;
}

/* ---- lost ones ------------------------------------------------------------------------ */

/* Of a list that is lost as a whole: its leader is the first node. */
static bool leader_heads(struct leak *leak, uint32_t leader, struct leak_place *ret)
{
	uint32_t second = only_next(leak, leader, LEAK_NONE), third;

	third = second == LEAK_NONE ? LEAK_NONE : only_next(leak, second, leader);
	if (third == LEAK_NONE || !is_chain(leak, leader, second, third))
		return false;
	place_in_block(leak, leader, index_addr(&leak->index, leader), ret);
	return true;
}

/* A lost block may lead to where it was in a list that is held. */
static bool leads_into(struct leak *leak, uint32_t block, struct leak_place *ret)
{
	for (uint32_t e = leak->first[block]; e < leak->first[block + 1]; e++) {
		uint32_t target = leak->edges.at[e] & ~LEAK_INTERIOR, next, last;

		if (!(leak->state[target] & STATE_HELD) || !is_alike(leak, block, target))
			continue;
		next = after(leak, target);
		last = before(leak, target);
		if (next != LEAK_NONE	? !is_chain(leak, block, target, next)
		    : last != LEAK_NONE ? leak_pointer_at(leak, last, target) !=
						  leak_pointer_at(leak, block, target)
					: true)
			continue;
		if (held_head(leak, target, ret))
			return true;
	}
	return false;
}

bool leak_list_head(struct leak *leak, uint32_t block, struct leak_place *ret)
{
	uint32_t leader = leak->parent[block];

	if (leak_size(leak, block) > NODE_MOST)
		return false;
	if (leak->state[block] & STATE_HELD)
		return held_head(leak, block, ret);
	if (leader != block && leak_size(leak, leader) == leak_size(leak, block) &&
	    leader_heads(leak, leader, ret))
		return true;
	return leads_into(leak, block, ret);
}
