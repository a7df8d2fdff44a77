/*
 * Writing a snapshot file, front to back:
 *
 *     texts --> [process][arguments][modules][frames][lines][nodes][contexts]... [end: CRC]
 *       ^           |         |         |               |
 *       +-----------+---------+---------+---------------+   by offset
 *
 * Here are its order, and the call stacks: each frame of the tree once, the names of these, and
 * the tree, whose nodes refer to frames by number.
 */
#include "heap/snapshot_file.h"

#include <errno.h>
#include <stdlib.h>

#include "heap/snapshot_writer.h"

/* ---- stacks -------------------------------------------------------------------------- */

/* Every frame of the tree, once. */
static int gather_frames(struct snapshot_writer *w)
{
	for (uint32_t i = WALK_ENDS; i < w->s->node_count; i++)
		if (!frame_table_add(&w->frames, w->s->nodes[i].frame))
			return -ENOMEM;
	frame_table_sort(&w->frames);
	return 0;
}

/* What is known of a frame; NULL: nothing. */
static const struct named_frame *named_of(const struct snapshot_writer *w, frame_t frame)
{
	const struct named_frame *named = frame_names_find(w->names, frame);

	for (uint32_t i = 0; named && i < named->count; i++) {
		const struct frame_line *line = &w->names->lines[named->first + i];

		if (line->function || line->file)
			return named;
	}
	return NULL;
}

/* Lines of frames that nothing is known of are left out. */
static void write_frames(struct snapshot_writer *w)
{
	uint32_t line = 0;

	snapshot_put_section(w, LAYOUT_FRAMES, LAYOUT_FRAME_RECORD,
			     (uint64_t)w->frames.count * LAYOUT_FRAME_RECORD);
	for (uint32_t i = 0; i < w->frames.count; i++) {
		const struct named_frame *named = named_of(w, w->frames.frames[i]);
		uint32_t count = named ? named->count : 0;

		snapshot_put_u64(w, w->frames.frames[i]);
		snapshot_put_u32(w, count ? line : 0);
		snapshot_put_u32(w, count);
		line += count;
	}
	snapshot_end_section(w);
}

static void write_line(struct snapshot_writer *w, const struct frame_line *line)
{
	snapshot_put_u64(w, line->base);
	snapshot_put_text(w, line->function);
	snapshot_put_text(w, line->symbol);
	snapshot_put_text(w, line->file);
	snapshot_put_u32(w, line->line);
	snapshot_put_u32(w, line->inlined ? LAYOUT_LINE_INLINED : 0);
	snapshot_put_u32(w, 0);
}

static void write_lines(struct snapshot_writer *w)
{
	const struct named_frame *named;
	uint64_t count = 0;

	for (uint32_t i = 0; i < w->frames.count; i++)
		if ((named = named_of(w, w->frames.frames[i])))
			count += named->count;
	snapshot_put_section(w, LAYOUT_LINES, LAYOUT_LINE_RECORD, count * LAYOUT_LINE_RECORD);
	for (uint32_t i = 0; i < w->frames.count; i++) {
		named = named_of(w, w->frames.frames[i]);
		for (uint32_t k = 0; named && k < named->count; k++)
			write_line(w, &w->names->lines[named->first + k]);
	}
	snapshot_end_section(w);
}

static uint32_t node_number(uint32_t node)
{
	return node < WALK_ENDS ? node : node - WALK_ENDS + LAYOUT_FIRST_NODE;
}

static void write_nodes(struct snapshot_writer *w)
{
	const struct snapshot *s = w->s;
	size_t count = s->node_count - WALK_ENDS;

	snapshot_put_section(w, LAYOUT_NODES, LAYOUT_NODE_RECORD,
			     (uint64_t)count * LAYOUT_NODE_RECORD);
	for (size_t i = 0; i < count; i++) {
		const struct region_node *node = &s->nodes[WALK_ENDS + i];

		snapshot_put_u32(w, frame_table_find(&w->frames, node->frame));
		snapshot_put_u32(w, node_number(node->parent));
	}
	snapshot_end_section(w);
}

static void write_contexts(struct snapshot_writer *w)
{
	const struct snapshot *s = w->s;

	snapshot_put_section(w, LAYOUT_CONTEXTS, LAYOUT_CONTEXT_RECORD,
			     (uint64_t)s->context_count * LAYOUT_CONTEXT_RECORD);
	for (uint32_t i = 0; i < s->context_count; i++) {
		const struct region_context *c = &s->contexts[i];

		snapshot_put_u64(w, c->allocs);
		snapshot_put_u64(w, c->frees);
		snapshot_put_u64(w, c->allocated_bytes);
		snapshot_put_u64(w, c->freed_bytes);
		snapshot_put_u64(w, c->peak_bytes);
		snapshot_put_u32(w, node_number(c->node));
		snapshot_put_u32(w, c->first_time);
		snapshot_put_u32(w, c->last_time);
		snapshot_put_u32(w, 0);
	}
	snapshot_end_section(w);
}

/* ---- the whole ----------------------------------------------------------------------- */

static void write_end(struct snapshot_writer *w)
{
	snapshot_put_section(w, LAYOUT_END, LAYOUT_END_RECORD, LAYOUT_END_RECORD);
	snapshot_flush(w);
	snapshot_put_u32(w, w->crc); /* of all before it */
	snapshot_put_u32(w, 0);
	snapshot_flush(w);
}

static void write_all(struct snapshot_writer *w)
{
	snapshot_put_bytes(w, LAYOUT_MAGIC, LAYOUT_MAGIC_BYTES);
	snapshot_put_u32(w, LAYOUT_VERSION);
	snapshot_put_u32(w, 0);
	snapshot_write_texts(w);
	snapshot_write_process(w);
	snapshot_write_arguments(w);
	snapshot_write_modules(w);
	write_frames(w);
	write_lines(w);
	write_nodes(w);
	write_contexts(w);
	snapshot_write_threads(w);
	snapshot_write_not_followed(w);
	snapshot_write_mappings(w);
	snapshot_write_time(w);
	snapshot_write_marks(w);
	write_end(w);
}

int snapshot_file_write(const struct snapshot *snapshot, const struct frame_names *names,
			const char *version, unsigned depth, FILE *out, struct err *err)
{
	struct snapshot_writer *w = calloc(1, sizeof(*w));
	int e = -ENOMEM;

	if (w) {
		w->s = snapshot;
		w->names = names;
		w->version = version;
		w->depth = depth;
		w->out = out;
		snapshot_writer_init(w);
		e = snapshot_gather_texts(w);
	}
	if (!e)
		e = gather_frames(w);
	if (e) {
		err_sys(err, e, "a snapshot of %u call stacks", snapshot->context_count);
	} else {
		errno = 0;
		write_all(w);
		e = w->failed ? w->failed : fflush(out) ? -errno : 0;
		if (e)
			err_sys(err, e, "the snapshot can't be written");
	}
	if (w)
		snapshot_writer_deinit(w);
	free(w);
	return e;
}
