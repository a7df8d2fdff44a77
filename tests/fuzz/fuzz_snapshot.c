/*
 * A snapshot file, which anybody may have written.
 *
 * What is held: what is read is sound (every walk ends, every number is of something that is
 * there), and is written and read again as the same.  The checksum is made right first: no
 * fuzzer guesses it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "fuzz.h"
#include "heap/snapshot_file.h"
#include "heap/snapshot_layout.h"

/* Where the file's checksum stands, as its sections say; 0: nowhere. */
static size_t checksum_at(const uint8_t *bytes, size_t len)
{
	struct cursor c = cursor_over(bytes, len);

	cursor_bytes(&c, LAYOUT_HEADER);
	while (!c.bad) {
		uint32_t type = cursor_u32(&c);
		uint64_t size;

		cursor_u32(&c);
		size = cursor_u64(&c);
		if (c.bad || size > cursor_left(&c))
			return 0;
		if (type == LAYOUT_END)
			return size >= 4 ? (size_t)(c.at - bytes) : 0;
		cursor_bytes(&c, (size_t)(size + (8 - size % 8) % 8));
	}
	return 0;
}

static void seal(uint8_t *bytes, size_t len)
{
	size_t at = checksum_at(bytes, len);
	struct layout_crc table;
	uint32_t crc;

	if (!at)
		return;
	layout_crc_init(&table);
	crc = layout_crc_add(&table, 0, bytes, at);
	for (int i = 0; i < 4; i++)
		bytes[at + (size_t)i] = (uint8_t)(crc >> (8 * i));
}

static void touch(const char *text)
{
	if (text)
		fuzz_touch(text, strlen(text) + 1);
}

static void check_names(const struct snapshot_file *file)
{
	const struct frame_names *names = &file->names;

	for (size_t i = 0; i < names->frame_count; i++) {
		const struct named_frame *named = &names->frames[i];

		assert(frame_names_find(names, named->frame) == named);
		assert(frame_instance(named->frame) <= file->snapshot->module_count);
		for (uint32_t k = 0; k < named->count; k++) {
			touch(names->lines[named->first + k].function);
			touch(names->lines[named->first + k].symbol);
			touch(names->lines[named->first + k].file);
		}
	}
	for (size_t i = 0; i < names->module_count; i++)
		touch(names->sources[i]);
	touch(file->version);
}

static void check_stacks(const struct snapshot *s)
{
	frame_t frames[64];
	enum walk_end end;

	for (uint32_t i = 0; i < s->context_count; i++) {
		const struct region_context *c = &s->contexts[i];

		assert(c->frees <= c->allocs && c->freed_bytes <= c->allocated_bytes);
		assert(snapshot_stack(s, i, frames, 64, &end) <= 64 && end < WALK_ENDS);
	}
	for (size_t i = 0; i < s->module_count; i++)
		assert(s->modules[i].id.path && s->modules[i].instance == i + 1);
}

static struct snapshot_file *again(const struct snapshot_file *file)
{
	struct snapshot_file *ret;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct err err;

	assert(!snapshot_file_write(file->snapshot, &file->names, file->version, file->depth,
				    out, &err));
	fclose(out);
	assert(!snapshot_file_parse((const uint8_t *)text, len, &ret, &err));
	free(text);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size + 1);
	struct snapshot_file *file, *copy;

	memcpy(bytes, data, size);
	seal(bytes, size);
	if (!snapshot_file_parse(bytes, size, &file, NULL)) {
		free(bytes);
		bytes = NULL; /* nothing points into it */
		check_names(file);
		check_stacks(file->snapshot);
		copy = again(file);
		assert(copy->snapshot->node_count == file->snapshot->node_count);
		for (uint32_t i = WALK_ENDS; i < file->snapshot->node_count; i++)
			assert(copy->snapshot->nodes[i].frame ==
				       file->snapshot->nodes[i].frame &&
			       copy->snapshot->nodes[i].parent ==
				       file->snapshot->nodes[i].parent);
		assert(!memcmp(copy->snapshot->contexts, file->snapshot->contexts,
			       file->snapshot->context_count * sizeof(struct region_context)));
		snapshot_file_destroy(copy);
		snapshot_file_destroy(file);
	}
	free(bytes);
	return 0;
}
