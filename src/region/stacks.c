/*
 * Call stacks as a tree: a node is {frame, parent}, a stack is a path, equal stacks
 * are one node, and stacks that share their outer frames share those nodes.
 *
 *    root "root"   <- main <- parse <- malloc       node.context: the stacks that
 *    root "depth"  <- f    <- f <- malloc           allocated; 0 for the others
 *                       \<- g <- malloc
 *
 * Nodes are never removed and keep their numbers, so a number is a name for the
 * whole session.  The index finds a node by {frame, parent}: open addressing over
 * node numbers, at most half full (7/8 where it can't grow).
 *
 * When it doubles, a million nodes are not entered into the new one at once, as a thread
 * of the target would wait for it: each new node takes a slice of the others along, in the
 * order of their numbers, and those that have not come yet are found by the index before.
 */
#include "region/stacks.h"

#include "region/arrays.h"

static uint32_t home(const struct region_table *index, frame_t frame, uint32_t parent)
{
	uint64_t hash = tables_hash(frame ^ (parent * 0x9fb21c651e98df25ull));

	return (uint32_t)(hash >> (64 - __builtin_ctz(index->capacity)));
}

static struct region_node *node_at(const struct region *region, uint32_t node)
{
	return arrays_at(region, REGION_NODES, node);
}

/* The slot of {frame, parent} in an index, or the free one where its probe ends. */
static uint32_t *probe(const struct region *region, enum region_table_id id, frame_t frame,
		       uint32_t parent)
{
	const struct region_table *index = &region->tables[id];
	uint32_t *slots = tables_at(region, id);
	uint32_t i = home(index, frame, parent);

	while (slots[i]) {
		const struct region_node *node = node_at(region, slots[i]);

		if (node->frame == frame && node->parent == parent)
			break;
		i = (i + 1) & (index->capacity - 1);
	}
	return &slots[i];
}

static bool grow_index(struct region *region, struct region_space *space)
{
	struct region_table *index = &region->tables[REGION_INDEX];
	struct region_table *before = &region->tables[REGION_INDEX_BEFORE];
	struct region_table fresh;

	if (before->bytes)
		return false; /* not done with yet */
	if (!tables_prepare(region, space, REGION_INDEX, (uint64_t)index->capacity * 2, &fresh))
		return false;
	fresh.count = index->count;
	*before = *index;
	*index = fresh;
	region->indexed = WALK_ENDS;
	return true;
}

/* Enters a slice of the nodes; when none is left, gives a piece of memory back. */
static void before_empty(struct region *region, struct region_space *space)
{
	struct region_table *before = &region->tables[REGION_INDEX_BEFORE];

	if (!before->count)
		tables_give_back(region, space, REGION_INDEX_BEFORE);
	for (unsigned n = 0; n < STACKS_SLICE && before->count; n++, before->count--) {
		const struct region_node *node = node_at(region, region->indexed);

		*probe(region, REGION_INDEX, node->frame, node->parent) = region->indexed++;
	}
}

/* Room for one node more, in both tables. */
static bool make_room(struct region *region, struct region_space *space)
{
	struct region_table *index = &region->tables[REGION_INDEX];

	if (region->tables[REGION_INDEX_BEFORE].bytes)
		before_empty(region, space);
	if (!arrays_room(region, space, REGION_NODES))
		return false;
	return index->count < index->capacity / 2 || grow_index(region, space) ||
	       index->count < index->capacity / 8 * 7;
}

/* 0: it is new. */
static uint32_t find(const struct region *region, frame_t frame, uint32_t parent)
{
	const struct region_table *before = &region->tables[REGION_INDEX_BEFORE];
	uint32_t found = *probe(region, REGION_INDEX, frame, parent);

	if (!found && before->count)
		found = *probe(region, REGION_INDEX_BEFORE, frame, parent);
	return found;
}

static uint32_t intern(struct region *region, struct region_space *space, frame_t frame,
		       uint32_t parent)
{
	uint32_t node = find(region, frame, parent);

	if (node)
		return node;
	if (!make_room(region, space))
		return STACKS_NONE;
	node = region->arrays[REGION_NODES].count;
	*node_at(region, node) = (struct region_node){.frame = frame, .parent = parent};
	arrays_publish(region, REGION_NODES);
	*probe(region, REGION_INDEX, frame, parent) = node;
	region->tables[REGION_INDEX].count++;
	return node;
}

uint32_t stacks_intern(struct region *region, struct region_space *space, const frame_t *frames,
		       size_t count, enum walk_end end)
{
	uint32_t node = (unsigned)end < WALK_ENDS ? (uint32_t)end : WALK_LOST;

	for (size_t i = count; i-- > 0 && node != STACKS_NONE;)
		node = intern(region, space, frames[i], node);
	return node;
}
