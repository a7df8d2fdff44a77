/*
 * A region of a hostile writer, who also writes while it is read.
 *
 *   input: count u8; count times {offset u16, value u8}: what is written between the opening of
 *          the view and its reading, and once more in the middle; then the region
 *
 * What is held: nothing beyond the region is read, every walk to the root ends, counters do not
 * contradict each other, and what was refused when the view was opened is not asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "fuzz.h"
#include "region/reader.h"

struct changes {
	const uint8_t *at;
	unsigned count;
};

static void change(const struct changes *changes, uint8_t *region, size_t len, unsigned from)
{
	for (unsigned i = from; i < changes->count; i += 2) {
		size_t offset = changes->at[3 * i] | (size_t)changes->at[3 * i + 1] << 8;

		if (offset < len)
			region[offset] ^= changes->at[3 * i + 2];
	}
}

static void check_walk(const struct reader *reader, uint32_t node)
{
	struct region_node n;

	for (uint32_t left = node; node >= WALK_ENDS; node = n.parent) {
		assert(left-- > 0);
		if (!reader_node(reader, node, &n))
			return;
		assert(n.parent < node && n.context < reader_context_count(reader));
	}
}

static bool read_context(const struct reader *reader, uint32_t id, struct region_context *c)
{
	if (!reader_context(reader, id, c)) {
		memset(c, 0, sizeof(*c));
		return false;
	}
	assert(c->node < reader_node_count(reader) && c->frees <= c->allocs);
	assert(c->freed_bytes <= c->allocated_bytes);
	assert(c->peak_bytes >= c->allocated_bytes - c->freed_bytes);
	return true;
}

static void read_all(const struct reader *reader, const struct changes *changes,
		     uint8_t *region, size_t len)
{
	uint32_t contexts = reader_context_count(reader);
	struct region_context *all = calloc(contexts, sizeof(*all));
	struct region_totals totals;
	struct region_module module;

	assert(all && reader_node_count(reader) >= WALK_ENDS && contexts);
	for (uint32_t id = 0; id < contexts; id++) {
		if (id == contexts / 2)
			change(changes, region, len, 1);
		if (read_context(reader, id, &all[id]))
			check_walk(reader, all[id].node);
	}
	if (reader_sum(reader, all, &totals))
		assert(totals.frees <= totals.allocs &&
		       totals.peak_bytes >= totals.allocated_bytes - totals.freed_bytes &&
		       totals.live_blocks <= totals.allocs - totals.frees);
	for (uint32_t i = 0; i <= reader_module_count(reader); i++)
		if (reader_module(reader, i, &module))
			assert(i && module.begin <= module.end && module.id_len <= 64 &&
			       module.path_len <= sizeof(module.path));
	free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	struct changes changes = {.count = cursor_u8(&c)};
	struct reader reader;
	uint8_t *region;
	size_t len;

	changes.at = cursor_bytes(&c, 3 * changes.count);
	if (!changes.at)
		return 0;
	len = cursor_left(&c);
	region = malloc(len + 1);
	assert(region);
	memcpy(region, cursor_bytes(&c, len), len);
	if (reader_open(&reader, region, len) == 0) {
		change(&changes, region, len, 0);
		read_all(&reader, &changes, region, len);
	}
	free(region);
	return 0;
}
