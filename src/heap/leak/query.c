/*
 * Questions about one block, from the graph that is there already: why it is held, who points
 * to it, what it holds.  Where in a block a pointer lies the graph does not know; that is
 * looked up in the picture.
 */
#include <errno.h>
#include <string.h>

#include "heap/leak/place.h"

/* ---- where in a block ----------------------------------------------------------------- */

struct hunt {
	uint32_t target;
	taddr_t at, value; /* the first one */
	void (*each)(void *arg, taddr_t at, taddr_t value);
	void *arg;
};

static int look(struct leak *leak, void *arg, taddr_t at, const uint8_t *bytes, size_t len)
{
	struct hunt *hunt = arg;
	unsigned word = leak->in.cpu.word;

	for (size_t i = 0; i + word <= len; i += word) {
		taddr_t value = word_at(bytes + i, word);
		uint32_t target = leak_target(leak, value);

		if (target == LEAK_NONE || (target & ~LEAK_INTERIOR) != hunt->target)
			continue;
		if (hunt->each) {
			hunt->each(hunt->arg, at + i, value);
			continue;
		}
		hunt->at = at + i;
		hunt->value = value;
		return 1;
	}
	return 0;
}

static void hunt_in(struct leak *leak, uint32_t block, struct hunt *hunt)
{
	taddr_t addr = index_addr(&leak->index, block);
	uint64_t unread = 0;

	leak_scan(leak, addr, addr + leak_size(leak, block), look, hunt, &unread);
}

uint64_t leak_pointer_at(struct leak *leak, uint32_t block, uint32_t target)
{
	struct hunt hunt = {.target = target};

	hunt_in(leak, block, &hunt);
	return hunt.at ? hunt.at - index_addr(&leak->index, block) : UINT64_MAX;
}

static void value_of_root(struct leak *leak, const struct root_edge *root,
			  struct leak_place *place)
{
	const struct leak_thread *thread;
	uint32_t word;

	if (root->word == LEAK_NONE) {
		place->value = reader_word_or_0(&leak->jump, root->at);
		return;
	}
	thread = &leak->in.threads[root->word / ROOT_WORDS];
	word = root->word % ROOT_WORDS;
	place->value = word < ROOT_EXTRA
			       ? thread->regs[word]
			       : word_at((const uint8_t *)thread->extra +
						 (word - ROOT_EXTRA) * leak->in.cpu.word,
					 leak->in.cpu.word);
}

/* ---- why ------------------------------------------------------------------------------ */

/* How many of the blocks asked for lie behind each block, and each root, in the tree of paths.
 */
struct behind {
	uint32_t *blocks, *roots;
};

static void count_behind(struct leak *leak, struct behind *b, const uint32_t *blocks,
			 size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (leak->state[blocks[i]] & STATE_HELD)
			b->blocks[blocks[i]]++;
	for (uint32_t i = leak->held_blocks; i-- > 0;) {
		uint32_t block = leak->order[i], parent = leak->parent[block];

		if (parent & PARENT_ROOT)
			b->roots[parent & ~PARENT_ROOT] += b->blocks[block];
		else
			b->blocks[parent] += b->blocks[block];
	}
}

/* The child with most behind it, where that is half of what is behind `block`; LEAK_NONE. */
static uint32_t next_on_path(const struct leak *leak, const struct behind *b, uint32_t block)
{
	uint32_t best = LEAK_NONE;

	for (uint32_t e = leak->first[block]; e < leak->first[block + 1]; e++) {
		uint32_t child = leak->edges.at[e] & ~LEAK_INTERIOR;

		if (leak->parent[child] == block && leak->state[child] & STATE_HELD &&
		    b->blocks[child] &&
		    (best == LEAK_NONE || b->blocks[child] > b->blocks[best]))
			best = child;
	}
	return best != LEAK_NONE && b->blocks[best] >= b->blocks[block] - b->blocks[block] / 2
		       ? best
		       : LEAK_NONE;
}

static size_t path_of(struct leak *leak, const struct behind *b, uint32_t root,
		      struct leak_link *links, size_t max, size_t *share)
{
	const struct root_edge *edge = &leak->roots.at[root];
	uint32_t block = edge->block & ~LEAK_INTERIOR, next;
	size_t length = 1;

	if (max) {
		place_of_root(leak, edge, &links[0].place);
		value_of_root(leak, edge, &links[0].place);
		links[0].block = block;
	}
	for (; (next = next_on_path(leak, b, block)) != LEAK_NONE; block = next) {
		if (length < max) {
			struct hunt hunt = {.target = next};

			hunt_in(leak, block, &hunt);
			place_in_block(leak, block, hunt.at, &links[length].place);
			links[length].place.value = hunt.value;
			links[length].block = next;
		}
		length++;
	}
	if (share)
		*share = b->blocks[block];
	return length;
}

size_t leak_why(struct leak *leak, const uint32_t *blocks, size_t count,
		struct leak_link *links, size_t max, size_t *share)
{
	struct behind b = {leak_take(leak, leak->count, sizeof(*b.blocks)),
			   leak_take(leak, leak->roots.len, sizeof(*b.roots))};
	uint32_t best = 0;
	size_t length = 0;

	if (share)
		*share = 0;
	if (b.blocks && b.roots && leak->roots.len) {
		count_behind(leak, &b, blocks, count);
		for (uint32_t i = 1; i < leak->roots.len; i++)
			if (b.roots[i] > b.roots[best])
				best = i;
		if (b.roots[best])
			length = path_of(leak, &b, best, links, max, share);
	}
	leak_give(leak, b.blocks, leak->count, sizeof(*b.blocks));
	leak_give(leak, b.roots, leak->roots.len, sizeof(*b.roots));
	return length;
}

size_t leak_held_from(struct leak *leak, const uint32_t *blocks, size_t count, taddr_t begin,
		      taddr_t end)
{
	struct behind b = {leak_take(leak, leak->count, sizeof(*b.blocks)),
			   leak_take(leak, leak->roots.len, sizeof(*b.roots))};
	size_t sum = 0;

	if (b.blocks && b.roots) {
		count_behind(leak, &b, blocks, count);
		for (uint32_t i = 0; i < leak->roots.len; i++) {
			const struct root_edge *root = &leak->roots.at[i];

			if (root->word == LEAK_NONE && root->at >= begin && root->at < end)
				sum += b.roots[i];
		}
	}
	leak_give(leak, b.blocks, leak->count, sizeof(*b.blocks));
	leak_give(leak, b.roots, leak->roots.len, sizeof(*b.roots));
	return sum;
}

/* ---- who ------------------------------------------------------------------------------ */

struct pointers {
	struct leak *leak;
	struct leak_place *places;
	size_t max, count;
	uint32_t block; /* that is looked at */
};

static struct leak_place *next_place(struct pointers *p)
{
	return p->count++ < p->max ? &p->places[p->count - 1] : NULL;
}

static void found_in_block(void *arg, taddr_t at, taddr_t value)
{
	struct pointers *p = arg;
	struct leak_place *place = next_place(p);

	if (!place)
		return;
	place_in_block(p->leak, p->block, at, place);
	place->value = value;
}

static bool leads_to(const struct leak *leak, uint32_t block, uint32_t target)
{
	for (uint32_t e = leak->first[block]; e < leak->first[block + 1]; e++)
		if ((leak->edges.at[e] & ~LEAK_INTERIOR) == target)
			return true;
	return false;
}

size_t leak_who(struct leak *leak, taddr_t addr, struct leak_place *places, size_t max)
{
	struct pointers p = {.leak = leak, .places = places, .max = max};
	uint32_t target = leak_find(leak, addr);

	if (target == LEAK_NONE)
		return 0;
	for (size_t i = 0; i < leak->roots.len; i++) {
		const struct root_edge *root = &leak->roots.at[i];
		struct leak_place *place;

		if ((root->block & ~LEAK_INTERIOR) != target || !(place = next_place(&p)))
			continue;
		place_of_root(leak, root, place);
		value_of_root(leak, root, place);
	}
	for (uint32_t block = 0; block < leak->count; block++) {
		struct hunt hunt = {.target = target, .each = found_in_block, .arg = &p};
		size_t before = p.count;
		struct leak_place *place;

		if (!leads_to(leak, block, target))
			continue;
		p.block = block;
		hunt_in(leak, block, &hunt);
		if (p.count == before && (place = next_place(&p))) /* (no picture) */
			place_in_block(leak, block, 0, place);
	}
	return p.count;
}

/* ---- retained ------------------------------------------------------------------------- */

enum { IN_SET = 1, BELOW = 2, STILL_HELD = 4 };

struct spread {
	uint8_t *marks;
	uint32_t *queue, length;
};

static void spread_to(struct spread *s, uint32_t block, uint8_t mark)
{
	if (s->marks[block] & mark || (mark == STILL_HELD && s->marks[block] & IN_SET))
		return;
	s->marks[block] |= mark;
	s->queue[s->length++] = block;
}

static void spread(const struct leak *leak, struct spread *s, uint8_t mark)
{
	for (uint32_t i = 0; i < s->length; i++) {
		uint32_t block = s->queue[i];

		for (uint32_t e = leak->first[block]; e < leak->first[block + 1]; e++)
			spread_to(s, leak->edges.at[e] & ~LEAK_INTERIOR, mark);
	}
	s->length = 0;
}

static void retained_by(struct leak *leak, struct spread *s, const uint32_t *blocks,
			size_t count, struct leak_sum *ret)
{
	*ret = (struct leak_sum){0};
	for (size_t i = 0; i < count; i++) {
		s->marks[blocks[i]] |= IN_SET;
		spread_to(s, blocks[i], BELOW);
	}
	spread(leak, s, BELOW);
	for (size_t i = 0; i < leak->roots.len; i++)
		spread_to(s, leak->roots.at[i].block & ~LEAK_INTERIOR, STILL_HELD);
	spread(leak, s, STILL_HELD);
	for (uint32_t i = 0; i < leak->count; i++) {
		if ((s->marks[i] & (BELOW | STILL_HELD)) != BELOW)
			continue;
		ret->blocks++;
		ret->bytes += leak_size(leak, i);
	}
}

bool leak_retained(struct leak *leak, const uint32_t *blocks, size_t count,
		   struct leak_sum *ret)
{
	struct spread s = {leak_take(leak, leak->count, sizeof(*s.marks)),
			   leak_take(leak, leak->count, sizeof(*s.queue)), 0};
	bool good = s.marks && s.queue;

	if (good)
		retained_by(leak, &s, blocks, count, ret);
	leak_give(leak, s.marks, leak->count, sizeof(*s.marks));
	leak_give(leak, s.queue, leak->count, sizeof(*s.queue));
	return good;
}
