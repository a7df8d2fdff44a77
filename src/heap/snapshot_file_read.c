/*
 * Reading a snapshot file: bytes of anybody's.
 *
 * Its sections are found first (snapshot_reader.c), then each is read into its place, and
 * every reference is checked there: texts end with a NUL, parents come before their children,
 * contexts point to nodes, frames to modules, lines are where they are said to be, nothing was
 * freed that was not allocated.  Memory is bounded by the file's size.
 */
#include "heap/snapshot_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/snapshot_reader.h"

/* ---- stacks -------------------------------------------------------------------------- */

static void read_line(struct snapshot_reader *r, size_t i, struct frame_line *line, bool *bad)
{
	uint8_t bytes[LAYOUT_LINE_RECORD];
	struct cursor c = snapshot_record(&r->sections[LAYOUT_LINES], i, bytes, sizeof(bytes));

	line->base = cursor_u64(&c);
	line->function = snapshot_text(r, &c, bad);
	line->symbol = snapshot_text(r, &c, bad);
	line->file = snapshot_text(r, &c, bad);
	line->line = cursor_u32(&c);
	line->inlined = cursor_u32(&c) & LAYOUT_LINE_INLINED;
}

static int read_lines(struct snapshot_reader *r)
{
	struct frame_names *names = &r->file->names;
	size_t count = r->sections[LAYOUT_LINES].count;
	bool bad = false;

	names->lines = snapshot_allocate(r, count, sizeof(*names->lines));
	for (size_t i = 0; names->lines && i < count && !bad; i++)
		read_line(r, i, &names->lines[i], &bad);
	names->line_count = count;
	return bad || r->no_memory ? snapshot_broken(r, "a name") : 0;
}

/* Frames in their order, each once, of modules that are there. */
static int read_frames(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_FRAMES];
	struct frame_names *names = &r->file->names;
	bool bad = false;

	names->frames = snapshot_allocate(r, section->count, sizeof(*names->frames));
	r->frames = snapshot_allocate(r, section->count, sizeof(*r->frames));
	for (size_t i = 0; !r->no_memory && i < section->count && !bad; i++) {
		uint8_t bytes[LAYOUT_FRAME_RECORD];
		struct cursor c = snapshot_record(section, i, bytes, sizeof(bytes));
		struct named_frame *named = &names->frames[i];

		named->frame = r->frames[i] = cursor_u64(&c);
		named->first = cursor_u32(&c);
		named->count = cursor_u32(&c);
		bad = frame_instance(named->frame) > r->file->snapshot->module_count ||
		      named->count > names->line_count ||
		      named->first > names->line_count - named->count ||
		      (i && frame_order(r->frames[i - 1], named->frame) >= 0);
		names->frame_count = i + 1;
	}
	return bad || r->no_memory ? snapshot_broken(r, "a frame") : 0;
}

/* Ours, of a node or end of the file's numbers; UINT32_MAX: it is not there. */
static uint32_t node_of(uint32_t number, uint32_t count)
{
	if (number < WALK_ENDS)
		return number;
	if (number < LAYOUT_FIRST_NODE || number - LAYOUT_FIRST_NODE >= count)
		return UINT32_MAX;
	return number - LAYOUT_FIRST_NODE + WALK_ENDS;
}

static int read_nodes(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_NODES];
	struct snapshot *s = r->file->snapshot;
	bool bad = section->count > UINT32_MAX - LAYOUT_FIRST_NODE;

	if (!bad)
		s->nodes = snapshot_allocate(r, section->count + WALK_ENDS, sizeof(*s->nodes));
	for (uint32_t i = 0; i < section->count && !bad && !r->no_memory; i++) {
		uint8_t bytes[LAYOUT_NODE_RECORD];
		struct cursor c = snapshot_record(section, i, bytes, sizeof(bytes));
		uint32_t frame = cursor_u32(&c), parent = node_of(cursor_u32(&c), i);

		bad = frame >= r->file->names.frame_count || parent == UINT32_MAX;
		if (!bad)
			s->nodes[WALK_ENDS + i] = (struct region_node){
				.frame = r->frames[frame], .parent = parent};
	}
	s->node_count = (uint32_t)section->count + WALK_ENDS;
	return bad || r->no_memory ? snapshot_broken(r, "a call stack") : 0;
}

static int read_contexts(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_CONTEXTS];
	struct snapshot *s = r->file->snapshot;
	bool bad = !section->count; /* the first is where stacks begin */

	s->contexts = snapshot_allocate(r, section->count, sizeof(*s->contexts));
	for (uint32_t i = 0; i < section->count && !bad && !r->no_memory; i++) {
		uint8_t bytes[LAYOUT_CONTEXT_RECORD];
		struct cursor cursor = snapshot_record(section, i, bytes, sizeof(bytes));
		struct region_context *c = &s->contexts[i];

		c->allocs = cursor_u64(&cursor);
		c->frees = cursor_u64(&cursor);
		c->allocated_bytes = cursor_u64(&cursor);
		c->freed_bytes = cursor_u64(&cursor);
		c->peak_bytes = cursor_u64(&cursor);
		c->node = node_of(cursor_u32(&cursor), s->node_count - WALK_ENDS);
		c->first_time = cursor_u32(&cursor);
		c->last_time = cursor_u32(&cursor);
		bad = c->node == UINT32_MAX ||
		      !snapshot_counts_sound(c->allocs, c->frees, c->allocated_bytes,
					     c->freed_bytes);
		if (!bad && c->node >= WALK_ENDS)
			s->nodes[c->node].context = i;
	}
	s->context_count = (uint32_t)section->count;
	return bad || r->no_memory ? snapshot_broken(r, "the counts of a call stack") : 0;
}

/* From the highest to the lowest, apart from each other. */
static int read_mappings(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_MAPPINGS];
	struct snapshot *s = r->file->snapshot;
	uint64_t above = UINT64_MAX;
	bool bad = false;

	s->mappings = snapshot_allocate(r, section->count, sizeof(*s->mappings));
	for (size_t i = 0; s->mappings && i < section->count && !bad; i++) {
		uint8_t bytes[LAYOUT_MAPPING_RECORD];
		struct cursor c = snapshot_record(section, i, bytes, sizeof(bytes));
		struct mapped_range *m = &s->mappings[i];

		m->begin = cursor_u64(&c);
		m->end = cursor_u64(&c);
		m->context = cursor_u32(&c);
		m->time = cursor_u32(&c);
		bad = m->begin >= m->end || m->end > above || m->context >= s->context_count;
		above = m->begin;
	}
	s->mapping_count = section->count;
	return bad || r->no_memory ? snapshot_broken(r, "a mapping") : 0;
}

/* ---- the whole ----------------------------------------------------------------------- */

static int read_all(struct snapshot_reader *r)
{
	static int (*const parts[])(struct snapshot_reader * r) = {
		snapshot_read_texts,
		snapshot_read_process,
		snapshot_read_arguments,
		snapshot_read_modules,
		read_lines,
		read_frames,
		read_nodes,
		read_contexts,
		snapshot_read_threads,
		snapshot_read_not_followed,
		read_mappings,
		snapshot_read_time,
		snapshot_read_marks,
	};
	int e = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts) && !e; i++)
		e = parts[i](r);
	return e;
}

int snapshot_file_parse(const uint8_t *bytes, size_t len, struct snapshot_file **ret,
			struct err *err)
{
	struct err own;
	struct snapshot_reader r = {.err = err ? err : &own};
	int e = snapshot_find_sections(&r, bytes, len);

	if (e)
		return e;
	r.file = calloc(1, sizeof(*r.file));
	if (r.file)
		r.file->snapshot = calloc(1, sizeof(*r.file->snapshot));
	if (r.file && r.file->snapshot)
		e = read_all(&r);
	else
		e = err_set(err, -ENOMEM, "no memory for the snapshot");
	free(r.frames);
	if (e) {
		snapshot_file_destroy(r.file);
		return e;
	}
	*ret = r.file;
	return 0;
}

void snapshot_file_destroy(struct snapshot_file *file)
{
	if (!file)
		return;
	snapshot_destroy(file->snapshot);
	course_clear(&file->course);
	generations_clear(&file->generations, 0);
	marks_deinit(&file->marks);
	free(file->names.frames);
	free(file->names.lines);
	free(file->names.sources);
	free(file->texts);
	free(file);
}
