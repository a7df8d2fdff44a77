/*
 * What roots lead to, breadth first over the edges, so that the tree of parents has a shortest
 * path to each block; and what is left: a block is lost if nothing leads to it, or to the cycle
 * that it is in, and lost through another one else.
 *
 * Leaders are found as memcheck does (Valgrind, memcheck/mc_leakcheck.c): each block not yet
 * met begins a clique with all that it leads to; if that has the leader of an earlier one, this
 * is one no longer.
 */
#include <errno.h>

#include "heap/leak/parts.h"

static void hold(struct leak *leak, uint32_t target, uint32_t parent)
{
	uint32_t block = target & ~LEAK_INTERIOR;

	if (!(target & LEAK_INTERIOR))
		leak->state[block] |= STATE_EXACT;
	if (leak->state[block] & STATE_HELD)
		return;
	leak->state[block] |= STATE_HELD;
	leak->parent[block] = parent;
	leak->order[leak->held_blocks++] = block;
}

static int mark_held(struct leak *leak)
{
	for (size_t i = 0; i < leak->roots.len; i++)
		hold(leak, leak->roots.at[i].block, (uint32_t)i | PARENT_ROOT);
	for (uint32_t next = 0; next < leak->held_blocks; next++) {
		uint32_t block = leak->order[next];
		int code = leak_tick(leak, LEAK_STEP_MARK, next, leak->count);

		if (code)
			return code;
		if (next + 16 < leak->held_blocks) { /* (what comes soon lies anywhere) */
			__builtin_prefetch(&leak->first[leak->order[next + 16]]);
			__builtin_prefetch(&leak->edges.at[leak->first[leak->order[next + 8]]]);
		}
		for (uint32_t e = leak->first[block]; e < leak->first[block + 1]; e++)
			hold(leak, leak->edges.at[e], block);
	}
	return 0;
}

/* `block` is reached in the clique of leader. */
static bool join(struct leak *leak, uint32_t block, uint32_t leader)
{
	uint8_t *state = &leak->state[block];

	if (*state & STATE_HELD || block == leader)
		return false;
	if (*state & STATE_LEADER) {
		*state &= (uint8_t)~STATE_LEADER; /* its clique goes along: see leader_of() */
		leak->parent[block] = leader;
		return false;
	}
	if (*state & STATE_LOST)
		return false;
	*state |= STATE_LOST;
	leak->parent[block] = leader;
	return true;
}

static void clique(struct leak *leak, uint32_t leader)
{
	uint32_t *stack = leak->order + leak->held_blocks, depth = 0;

	leak->state[leader] |= STATE_LOST | STATE_LEADER;
	leak->parent[leader] = leader;
	stack[depth++] = leader;
	while (depth) {
		uint32_t block = stack[--depth];

		for (uint32_t e = leak->first[block]; e < leak->first[block + 1]; e++) {
			uint32_t target = leak->edges.at[e] & ~LEAK_INTERIOR;

			if (join(leak, target, leader))
				stack[depth++] = target;
		}
	}
}

/* The leader of the leader ..., with the way made short for the next who asks. */
static uint32_t leader_of(struct leak *leak, uint32_t block)
{
	uint32_t leader = block;

	while (leak->parent[leader] != leader)
		leader = leak->parent[leader];
	while (block != leader) {
		uint32_t next = leak->parent[block];

		leak->parent[block] = leader;
		block = next;
	}
	return leader;
}

static void sum(struct leak *leak)
{
	for (uint32_t i = 0; i < leak->count; i++) {
		uint8_t state = leak->state[i];
		uint64_t size = leak_size(leak, i);
		struct leak_sum *all =
			&leak->totals.classes[state & STATE_HELD     ? LEAK_HELD
					      : state & STATE_LEADER ? LEAK_LOST
								     : LEAK_LOST_THROUGH];

		all->blocks++;
		all->bytes += size;
		if ((state & (STATE_HELD | STATE_EXACT)) == STATE_HELD) {
			leak->totals.interior.blocks++;
			leak->totals.interior.bytes += size;
		}
	}
}

int leak_mark(struct leak *leak, struct err *err)
{
	int code;

	leak->state = leak_take(leak, leak->count, sizeof(*leak->state));
	leak->parent = leak_take(leak, leak->count, sizeof(*leak->parent));
	leak->order = leak_take(leak, leak->count, sizeof(*leak->order));
	if (!leak->state || !leak->parent || !leak->order)
		return leak_no_memory(leak, err);
	code = mark_held(leak);
	if (code)
		return err_set(err, code, "given up");
	for (uint32_t i = 0; i < leak->count; i++)
		if (!(leak->state[i] & (STATE_HELD | STATE_LOST)))
			clique(leak, i);
	for (uint32_t i = 0; i < leak->count; i++)
		if (!(leak->state[i] & STATE_HELD))
			leader_of(leak, i);
	sum(leak);
	return 0;
}
