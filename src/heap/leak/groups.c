/* Each lost block with what is lost through it: how much, and what it looks like. */
#include <errno.h>

#include "base/order.h"
#include "heap/leak/parts.h"

/* Of each group, while they are in the order of their leaders. */
struct making {
	uint64_t *sizes; /* of its members but the leader, plus 1; 0: none yet */
	uint8_t *what;
};
enum { DIFFERENT = 1, BRANCHES = 2, BACK = 4 };

static int compare(const void *a, const void *b)
{
	const struct leak_group *x = a, *y = b;

	return order_u64(y->all.bytes, x->all.bytes) ?: order_u64(x->leader, y->leader);
}

static bool leaders(struct leak *leak)
{
	for (uint32_t i = 0; i < leak->count; i++) {
		if ((leak->state[i] & (STATE_HELD | STATE_LEADER)) != STATE_LEADER)
			continue;
		if (!leak_push(leak, &leak->groups,
			       ((struct leak_group){.leader = i, .all = {0}})))
			return false;
	}
	return true;
}

static size_t group_of(const struct leak *leak, uint32_t leader)
{
	return order_count(leak->groups.len, i, leak->groups.at[i].leader < leader);
}

/* What of a group's shape one of its blocks tells. */
static uint8_t look(const struct leak *leak, uint32_t block, uint32_t leader)
{
	uint32_t next = LEAK_NONE;
	uint8_t what = 0;

	for (uint32_t e = leak->first[block]; e < leak->first[block + 1]; e++) {
		uint32_t target = leak->edges.at[e] & ~LEAK_INTERIOR;

		if (leak->state[target] & STATE_HELD || target == block ||
		    leak->parent[target] != leader)
			continue;
		if (target == leader)
			what |= BACK;
		else if (next != LEAK_NONE && next != target)
			what |= BRANCHES;
		else
			next = target;
	}
	return what;
}

static void member(struct leak *leak, struct making *m, uint32_t block)
{
	uint32_t leader = leak->parent[block];
	size_t number = group_of(leak, leader);
	struct leak_group *group = &leak->groups.at[number];
	uint64_t size = leak_size(leak, block);

	group->all.blocks++;
	group->all.bytes += size;
	m->what[number] |= look(leak, block, leader);
	if (block == leader)
		return;
	if (m->sizes[number] && m->sizes[number] != size + 1)
		m->what[number] |= DIFFERENT;
	m->sizes[number] = size + 1;
}

static enum leak_shape shape_of(const struct leak_group *group, uint8_t what)
{
	if (group->all.blocks == 1)
		return LEAK_SINGLE;
	if (what & BACK)
		return LEAK_CYCLE;
	return what || group->all.blocks < 3 ? LEAK_TREE : LEAK_LIST;
}

int leak_group(struct leak *leak, struct err *err)
{
	struct making m = {NULL, NULL};
	bool good = leaders(leak);
	size_t count = leak->groups.len;

	m.sizes = good ? leak_take(leak, count, sizeof(*m.sizes)) : NULL;
	m.what = m.sizes ? leak_take(leak, count, sizeof(*m.what)) : NULL;
	good = m.what;
	for (uint32_t i = 0; good && i < leak->count; i++)
		if (!(leak->state[i] & STATE_HELD))
			member(leak, &m, i);
	for (size_t i = 0; good && i < count; i++)
		leak->groups.at[i].shape = shape_of(&leak->groups.at[i], m.what[i]);
	if (good && count)
		qsort(leak->groups.at, count, sizeof(*leak->groups.at), compare);
	leak_give(leak, m.sizes, count, sizeof(*m.sizes));
	leak_give(leak, m.what, count, sizeof(*m.what));
	return good ? 0 : leak_no_memory(leak, err);
}

const struct leak_group *leak_groups(const struct leak *leak, size_t *count)
{
	*count = leak->groups.len;
	return leak->groups.at;
}
