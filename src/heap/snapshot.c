/*
 * Snapshots: what the region says, copied, so that who reports can take its time while the
 * engine writes on.
 *
 * Through region/reader.h alone, which checks each item: the writer may be another process one
 * day, and who uses a snapshot may trust its numbers and walk towards the root without end in
 * mind.  16 bytes a node, 56 a context; live blocks are not copied: every report is about
 * contexts.
 */
#include "heap/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/verdicts.h"
#include "region/reader.h"

static bool nodes_copy(const struct reader *reader, struct snapshot *s)
{
	for (uint32_t i = WALK_ENDS; i < s->node_count; i++)
		if (!reader_node(reader, i, &s->nodes[i]))
			return false;
	return true;
}

static bool contexts_copy(const struct reader *reader, struct snapshot *s)
{
	for (uint32_t i = 0; i < s->context_count; i++)
		if (!reader_context(reader, i, &s->contexts[i]))
			return false;
	return reader_sum(reader, s->contexts, &s->totals);
}

static int fill(const struct reader *reader, struct snapshot *s, struct err *err)
{
	s->node_count = reader_node_count(reader);
	s->context_count = reader_context_count(reader);
	s->nodes = calloc(s->node_count, sizeof(*s->nodes));
	s->contexts = calloc(s->context_count, sizeof(*s->contexts));
	if (!s->nodes || !s->contexts)
		return err_set(err, -ENOMEM, "out of memory for a snapshot of %u call stacks",
			       s->context_count);
	if (!contexts_copy(reader, s) || !nodes_copy(reader, s))
		return err_set(err, -EINVAL, "the recorded call stacks are damaged");
	return reader_is_overtaken(reader)
		       ? err_set(err, -EAGAIN, "the counters were cleared meanwhile")
		       : 0;
}

int snapshot_create(const void *region, uint64_t len, struct snapshot **ret, struct err *err)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct reader reader;
	int rc;

	if (!s)
		return err_set(err, -ENOMEM, "out of memory for a snapshot");
	rc = reader_open(&reader, region, len);
	rc = rc ? err_set(err, rc, "the recorded call stacks are damaged")
		: fill(&reader, s, err);
	if (rc) {
		snapshot_destroy(s);
		return rc;
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

/* NULL-terminated, or NULL. */
static void list_free(char **list)
{
	for (char **at = list; at && *at; at++)
		free(*at);
	free(list);
}

void snapshot_destroy(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	list_free(snapshot->command);
	list_free(snapshot->left_behind);
	for (size_t i = 0; snapshot->modules && i < snapshot->module_count; i++)
		module_id_deinit(&snapshot->modules[i].id);
	free(snapshot->modules);
	generated_deinit(&snapshot->generated);
	for (size_t i = 0; i < snapshot->missed_count; i++)
		snapshot_missed_deinit(&snapshot->missed[i]);
	free(snapshot->missed);
	free(snapshot->threads);
	free(snapshot->nodes);
	free(snapshot->mappings);
	free(snapshot->contexts);
	verdicts_destroy(snapshot->verdicts);
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
