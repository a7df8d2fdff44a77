/*
 * Snapshots: the region's tables copied as they are, so that who reports can take
 * its time while the engine writes on.
 *
 * A copy is three memcpy of arrays (16 bytes a node, 56 a context); live blocks are
 * not copied: every report is about contexts.  The copy is checked once, here, as
 * it crossed a border (the writer may be another process one day): parents come
 * before their children, contexts point to nodes that are there.  After that a walk
 * towards the root ends by itself.
 */
#include "heap/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *duplicate(const void *from, size_t count, size_t size)
{
	void *copy = malloc(count * size + 1);

	if (copy)
		memcpy(copy, from, count * size);
	return copy;
}

/* Children come after their parents, as nodes are made from the root on. */
static bool is_sound(const struct snapshot *s)
{
	if (s->node_count < WALK_ENDS || s->context_count < 1)
		return false;
	for (uint32_t i = WALK_ENDS; i < s->node_count; i++)
		if (s->nodes[i].parent >= i)
			return false;
	for (uint32_t i = 0; i < s->context_count; i++)
		if (s->contexts[i].node >= s->node_count)
			return false;
	return true;
}

int snapshot_create(const struct region *region, struct snapshot **ret, struct err *err)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	const struct region_context *contexts;
	const struct region_node *nodes;

	if (!s)
		return err_set(err, -ENOMEM, "out of memory for a snapshot");
	nodes = region_nodes(region, &s->node_count);
	contexts = region_contexts(region, &s->context_count);
	s->nodes = duplicate(nodes, s->node_count, sizeof(*nodes));
	s->contexts = duplicate(contexts, s->context_count, sizeof(*contexts));
	s->totals = *region_totals(region);
	s->region_bytes = region_memory(region);
	if (!s->nodes || !s->contexts) {
		err_set(err, -ENOMEM, "out of memory for a snapshot of %u call stacks",
			s->context_count);
		snapshot_destroy(s);
		return -ENOMEM;
	}
	if (!is_sound(s)) {
		snapshot_destroy(s);
		return err_set(err, -EINVAL, "the recorded call stacks are damaged");
	}
	*ret = s;
	return 0;
}

void snapshot_missed_deinit(struct snapshot_missed *missed)
{
	free(missed->module);
	free(missed->function);
	free(missed->reason);
	*missed = (struct snapshot_missed){0};
}

void snapshot_destroy(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	for (char **arg = snapshot->command; arg && *arg; arg++)
		free(*arg);
	free(snapshot->command);
	for (size_t i = 0; snapshot->modules && i < snapshot->module_count; i++)
		module_id_deinit(&snapshot->modules[i].id);
	free(snapshot->modules);
	for (size_t i = 0; i < snapshot->missed_count; i++)
		snapshot_missed_deinit(&snapshot->missed[i]);
	free(snapshot->missed);
	free(snapshot->threads);
	free(snapshot->nodes);
	free(snapshot->contexts);
	free(snapshot);
}

size_t snapshot_stack(const struct snapshot *snapshot, uint32_t context, frame_t *frames,
		      size_t max, enum walk_end *end)
{
	uint32_t node = context < snapshot->context_count ? snapshot->contexts[context].node
							  : (uint32_t)WALK_LOST;
	size_t count = 0;

	for (; node >= WALK_ENDS && count < max; node = snapshot->nodes[node].parent)
		frames[count++] = snapshot->nodes[node].frame;
	*end = node < WALK_ENDS ? (enum walk_end)node : WALK_DEPTH;
	return count;
}

const struct snapshot_module *snapshot_module(const struct snapshot *snapshot,
					      uint32_t instance)
{
	if (!instance || instance > snapshot->module_count)
		return NULL;
	return &snapshot->modules[instance - 1];
}
