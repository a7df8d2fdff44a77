/*
 * Writing a snapshot file, front to back with 4 KB at hand:
 *
 *     texts --> [process][arguments][modules][frames][lines][nodes][contexts]... [end: CRC]
 *       ^           |         |         |               |
 *       +-----------+---------+---------+---------------+   by offset
 *
 * A section says how long it is before it begins.  Of records that is known; of texts it is
 * the sum, made while each distinct text gets its offset.  Texts are told apart by where they
 * are in memory: whoever makes names keeps each once (symbols/cache.h, a file's string table),
 * and a text that is there twice costs bytes and nothing else.
 */
#include "heap/snapshot_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/chunks.h"
#include "base/order.h"
#include "base/vec.h"
#include "heap/frame_table.h"
#include "heap/snapshot_layout.h"
#include "heap/verdicts.h"

struct text {
	const char *at;
	uint32_t offset;
};

struct writer {
	const struct snapshot *s;
	const struct frame_names *names; /* may be NULL */
	const char *version;
	unsigned depth;
	FILE *out;
	VEC(struct text) texts; /* by address */
	uint64_t texts_len;
	struct frame_table frames;
	struct layout_crc crc_table;
	uint32_t crc;
	uint8_t buffer[4096];
	struct chunks chunks; /* in it */
	uint64_t written;
	int failed; /* -errno of the first write that did */
};

/* ---- bytes --------------------------------------------------------------------------- */

static void flush(void *arg)
{
	struct writer *w = arg;
	size_t len = w->chunks.used;

	w->crc = layout_crc_add(&w->crc_table, w->crc, w->buffer, len);
	if (!w->failed && fwrite(w->buffer, 1, len, w->out) != len)
		w->failed = errno ? -errno : -EIO;
	w->written += len;
	w->chunks.used = 0;
}

static void put_bytes(struct writer *w, const void *bytes, size_t len)
{
	chunks_put(&w->chunks, bytes, len);
}

static void put_uint(struct writer *w, uint64_t value, unsigned width)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	put_bytes(w, bytes, width);
}

static void put_u32(struct writer *w, uint64_t value)
{
	put_uint(w, value, 4);
}

static void put_u64(struct writer *w, uint64_t value)
{
	put_uint(w, value, 8);
}

static void put_section(struct writer *w, enum layout_section type, uint32_t record,
			uint64_t bytes)
{
	put_u32(w, type);
	put_u32(w, record);
	put_u64(w, bytes);
}

/* Sections begin at multiples of 8. */
static void end_section(struct writer *w)
{
	static const uint8_t zeros[8];

	put_bytes(w, zeros, (8 - (w->written + w->chunks.used) % 8) % 8);
}

/* ---- texts --------------------------------------------------------------------------- */

static int compare_texts(const void *a, const void *b)
{
	const struct text *x = a, *y = b;

	return order_u64((uintptr_t)x->at, (uintptr_t)y->at);
}

static bool add_text(struct writer *w, const char *text)
{
	return !text || !*text || vec_push(&w->texts, ((struct text){.at = text}));
}

static bool add_names(struct writer *w)
{
	const struct frame_names *names = w->names;
	bool ok = true;

	for (size_t i = 0; names && ok && i < names->line_count; i++)
		ok = add_text(w, names->lines[i].function) &&
		     add_text(w, names->lines[i].symbol) && add_text(w, names->lines[i].file);
	for (size_t i = 0; names && names->sources && ok && i < names->module_count; i++)
		ok = add_text(w, names->sources[i]);
	return ok;
}

static bool add_process(struct writer *w)
{
	const struct snapshot *s = w->s;
	bool ok = add_text(w, w->version) && add_text(w, s->engine);

	for (char **arg = s->command; arg && *arg && ok; arg++)
		ok = add_text(w, *arg);
	for (size_t i = 0; ok && i < s->module_count; i++)
		ok = add_text(w, s->modules[i].id.path) &&
		     add_text(w, s->modules[i].id.debuglink) &&
		     add_text(w, s->modules[i].unwind_from) && add_text(w, s->modules[i].why);
	for (size_t i = 0; ok && i < s->thread_count; i++)
		ok = add_text(w, s->threads[i].name) && add_text(w, s->threads[i].state);
	for (size_t i = 0; ok && i < s->missed_count; i++)
		ok = add_text(w, s->missed[i].module) && add_text(w, s->missed[i].function) &&
		     add_text(w, s->missed[i].reason);
	return ok;
}

/* Each text once, in the order of memory, with its offset.  0, -ENOMEM, or -EFBIG. */
static int gather_texts(struct writer *w)
{
	size_t kept = 0;

	if (!add_process(w) || !add_names(w))
		return -ENOMEM;
	if (w->texts.len)
		qsort(w->texts.at, w->texts.len, sizeof(*w->texts.at), compare_texts);
	w->texts_len = 1; /* offset 0: none */
	for (size_t i = 0; i < w->texts.len; i++) {
		struct text *text = &w->texts.at[i];

		if (kept && w->texts.at[kept - 1].at == text->at)
			continue;
		text->offset = (uint32_t)w->texts_len;
		w->texts_len += strlen(text->at) + 1;
		w->texts.at[kept++] = *text;
	}
	w->texts.len = kept;
	return w->texts_len > UINT32_MAX ? -EFBIG : 0;
}

static void put_text(struct writer *w, const char *text)
{
	const struct text key = {.at = text};
	const struct text *found = text && *text ? bsearch(&key, w->texts.at, w->texts.len,
							   sizeof(key), compare_texts)
						 : NULL;

	put_u32(w, found ? found->offset : 0);
}

static void write_texts(struct writer *w)
{
	put_section(w, LAYOUT_TEXTS, 1, w->texts_len);
	put_bytes(w, "", 1);
	for (size_t i = 0; i < w->texts.len; i++)
		put_bytes(w, w->texts.at[i].at, strlen(w->texts.at[i].at) + 1);
	end_section(w);
}

/* ---- the process --------------------------------------------------------------------- */

static void write_totals(struct writer *w, const struct region_totals *t)
{
	put_u64(w, t->allocs);
	put_u64(w, t->frees);
	put_u64(w, t->allocated_bytes);
	put_u64(w, t->freed_bytes);
	put_u64(w, t->peak_bytes);
	put_u64(w, t->frees_of_unknown);
	put_u64(w, t->lost_events);
	put_u64(w, t->overflow_blocks);
	put_u64(w, t->live_blocks);
}

static void write_process(struct writer *w)
{
	const struct snapshot *s = w->s;

	put_section(w, LAYOUT_PROCESS, LAYOUT_PROCESS_RECORD, LAYOUT_PROCESS_RECORD);
	put_u32(w, (uint32_t)s->pid);
	put_u32(w, (s->running ? LAYOUT_PROCESS_RUNNING : 0) |
			   (s->no_allocator ? LAYOUT_PROCESS_NO_ALLOCATOR : 0) |
			   (s->maps_followed ? LAYOUT_PROCESS_MAPS_FOLLOWED : 0));
	put_u64(w, (uint64_t)s->taken.tv_sec);
	put_u64(w, (uint64_t)s->started.tv_sec);
	put_u32(w, (uint64_t)s->taken.tv_nsec);
	put_u32(w, (uint64_t)s->started.tv_nsec);
	put_u32(w, s->ticks_now);
	put_u32(w, w->depth);
	put_u64(w, s->resident_bytes);
	put_u64(w, s->region_bytes);
	put_text(w, s->engine);
	put_text(w, w->version);
	write_totals(w, &s->totals);
	put_u64(w, s->resident_at_start);
	end_section(w);
}

static void write_arguments(struct writer *w)
{
	size_t count = 0;

	while (w->s->command && w->s->command[count])
		count++;
	put_section(w, LAYOUT_ARGUMENTS, LAYOUT_ARGUMENT_RECORD,
		    (uint64_t)count * LAYOUT_ARGUMENT_RECORD);
	for (size_t i = 0; i < count; i++)
		put_text(w, w->s->command[i]);
	end_section(w);
}

static void write_module(struct writer *w, const struct snapshot_module *m, const char *source)
{
	put_u64(w, m->begin);
	put_u64(w, m->end);
	put_u64(w, m->bias);
	put_u32(w, (m->mapped ? LAYOUT_MODULE_MAPPED : 0) |
			   (m->deleted ? LAYOUT_MODULE_DELETED : 0));
	put_text(w, m->id.path);
	put_text(w, m->unwind_from);
	put_text(w, m->why);
	put_text(w, source);
	put_text(w, m->id.debuglink);
	put_u32(w, m->id.debuglink_crc);
	put_uint(w, m->id.build_id_len, 1);
	put_uint(w, m->id.fingerprint_len, 1);
	put_uint(w, 0, 2);
	put_u64(w, 0);
	put_u64(w, 0);
	put_bytes(w, m->id.build_id, sizeof(m->id.build_id));
	put_bytes(w, m->id.fingerprint, sizeof(m->id.fingerprint));
}

static void write_modules(struct writer *w)
{
	const struct frame_names *names = w->names;

	put_section(w, LAYOUT_MODULES, LAYOUT_MODULE_RECORD,
		    (uint64_t)w->s->module_count * LAYOUT_MODULE_RECORD);
	for (size_t i = 0; i < w->s->module_count; i++)
		write_module(w, &w->s->modules[i],
			     names && names->sources && i < names->module_count
				     ? names->sources[i]
				     : NULL);
	end_section(w);
}

static void write_threads(struct writer *w)
{
	const struct snapshot *s = w->s;

	put_section(w, LAYOUT_THREADS, LAYOUT_THREAD_RECORD,
		    (uint64_t)s->thread_count * LAYOUT_THREAD_RECORD);
	for (size_t i = 0; i < s->thread_count; i++) {
		put_u32(w, (uint32_t)s->threads[i].tid);
		put_text(w, s->threads[i].name);
		put_text(w, s->threads[i].state);
		put_u32(w, 0);
		put_u64(w, s->threads[i].allocs);
		put_u64(w, s->threads[i].frees);
	}
	end_section(w);
}

static void write_not_followed(struct writer *w)
{
	const struct snapshot *s = w->s;

	put_section(w, LAYOUT_NOT_FOLLOWED, LAYOUT_NOT_FOLLOWED_RECORD,
		    (uint64_t)s->missed_count * LAYOUT_NOT_FOLLOWED_RECORD);
	for (size_t i = 0; i < s->missed_count; i++) {
		put_text(w, s->missed[i].module);
		put_text(w, s->missed[i].function);
		put_text(w, s->missed[i].reason);
		put_u32(w, 0);
	}
	end_section(w);
}

static void write_mappings(struct writer *w)
{
	const struct snapshot *s = w->s;

	put_section(w, LAYOUT_MAPPINGS, LAYOUT_MAPPING_RECORD,
		    (uint64_t)s->mapping_count * LAYOUT_MAPPING_RECORD);
	for (size_t i = 0; i < s->mapping_count; i++) {
		put_u64(w, s->mappings[i].begin);
		put_u64(w, s->mappings[i].end);
		put_u32(w, s->mappings[i].context);
		put_u32(w, s->mappings[i].time);
	}
	end_section(w);
}

/* ---- stacks -------------------------------------------------------------------------- */

/* Every frame of the tree, once. */
static int gather_frames(struct writer *w)
{
	for (uint32_t i = WALK_ENDS; i < w->s->node_count; i++)
		if (!frame_table_add(&w->frames, w->s->nodes[i].frame))
			return -ENOMEM;
	frame_table_sort(&w->frames);
	return 0;
}

/* What is known of a frame; NULL: nothing. */
static const struct named_frame *named_of(const struct writer *w, frame_t frame)
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
static void write_frames(struct writer *w)
{
	uint32_t line = 0;

	put_section(w, LAYOUT_FRAMES, LAYOUT_FRAME_RECORD,
		    (uint64_t)w->frames.count * LAYOUT_FRAME_RECORD);
	for (uint32_t i = 0; i < w->frames.count; i++) {
		const struct named_frame *named = named_of(w, w->frames.frames[i]);
		uint32_t count = named ? named->count : 0;

		put_u64(w, w->frames.frames[i]);
		put_u32(w, count ? line : 0);
		put_u32(w, count);
		line += count;
	}
	end_section(w);
}

static void write_line(struct writer *w, const struct frame_line *line)
{
	put_u64(w, line->base);
	put_text(w, line->function);
	put_text(w, line->symbol);
	put_text(w, line->file);
	put_u32(w, line->line);
	put_u32(w, line->inlined ? LAYOUT_LINE_INLINED : 0);
	put_u32(w, 0);
}

static void write_lines(struct writer *w)
{
	const struct named_frame *named;
	uint64_t count = 0;

	for (uint32_t i = 0; i < w->frames.count; i++)
		if ((named = named_of(w, w->frames.frames[i])))
			count += named->count;
	put_section(w, LAYOUT_LINES, LAYOUT_LINE_RECORD, count * LAYOUT_LINE_RECORD);
	for (uint32_t i = 0; i < w->frames.count; i++) {
		named = named_of(w, w->frames.frames[i]);
		for (uint32_t k = 0; named && k < named->count; k++)
			write_line(w, &w->names->lines[named->first + k]);
	}
	end_section(w);
}

static uint32_t node_number(uint32_t node)
{
	return node < WALK_ENDS ? node : node - WALK_ENDS + LAYOUT_FIRST_NODE;
}

static void write_nodes(struct writer *w)
{
	const struct snapshot *s = w->s;
	size_t count = s->node_count - WALK_ENDS;

	put_section(w, LAYOUT_NODES, LAYOUT_NODE_RECORD, (uint64_t)count * LAYOUT_NODE_RECORD);
	for (size_t i = 0; i < count; i++) {
		const struct region_node *node = &s->nodes[WALK_ENDS + i];

		put_u32(w, frame_table_find(&w->frames, node->frame));
		put_u32(w, node_number(node->parent));
	}
	end_section(w);
}

static void write_contexts(struct writer *w)
{
	const struct snapshot *s = w->s;

	put_section(w, LAYOUT_CONTEXTS, LAYOUT_CONTEXT_RECORD,
		    (uint64_t)s->context_count * LAYOUT_CONTEXT_RECORD);
	for (uint32_t i = 0; i < s->context_count; i++) {
		const struct region_context *c = &s->contexts[i];

		put_u64(w, c->allocs);
		put_u64(w, c->frees);
		put_u64(w, c->allocated_bytes);
		put_u64(w, c->freed_bytes);
		put_u64(w, c->peak_bytes);
		put_u32(w, node_number(c->node));
		put_u32(w, c->first_time);
		put_u32(w, c->last_time);
		put_u32(w, 0);
	}
	end_section(w);
}

/* ---- time ---------------------------------------------------------------------------- */

static void write_history(struct writer *w, const struct course *course)
{
	put_section(w, LAYOUT_HISTORY, LAYOUT_HISTORY_RECORD,
		    (uint64_t)course->count * LAYOUT_HISTORY_RECORD);
	for (size_t i = 0; i < course->count; i++) {
		const struct course_point *p = &course->points[i];

		put_u64(w, (uint64_t)(p->ms - course->points[0].ms));
		put_u64(w, p->allocs);
		put_u64(w, p->frees);
		put_u64(w, p->in_use);
		put_u64(w, p->most_in_use);
		put_u64(w, p->resident);
		put_u32(w, p->samples);
		put_u32(w, 0);
	}
	end_section(w);
}

static void write_generations(struct writer *w, const struct generations *g)
{
	uint64_t sum = 0;

	put_section(w, LAYOUT_GENERATIONS, LAYOUT_GENERATION_RECORD,
		    (uint64_t)g->count * LAYOUT_GENERATION_RECORD);
	for (size_t i = 0; i < g->count; i++) {
		put_u32(w, i ? g->at[i - 1].end : g->begin);
		put_u32(w, g->at[i].end);
		put_u64(w, g->at[i].len);
		sum += g->at[i].len;
	}
	end_section(w);
	put_section(w, LAYOUT_CHANGES, 1, sum);
	for (size_t i = 0; i < g->count; i++)
		put_bytes(w, g->at[i].changes, g->at[i].len);
	end_section(w);
}

static void write_time(struct writer *w)
{
	const struct verdicts *v = w->s->verdicts;
	uint8_t *bytes;
	size_t len;

	if (!v || !v->generations || !v->course)
		return;
	write_history(w, v->course);
	write_generations(w, v->generations);
	if (births_encode(&v->births, &bytes, &len)) {
		w->failed = w->failed ? w->failed : -ENOMEM;
		return;
	}
	put_section(w, LAYOUT_BIRTHS, 1, len);
	put_bytes(w, bytes, len);
	end_section(w);
	free(bytes);
}

/* ---- the whole ----------------------------------------------------------------------- */

static void write_end(struct writer *w)
{
	put_section(w, LAYOUT_END, LAYOUT_END_RECORD, LAYOUT_END_RECORD);
	flush(w);
	put_u32(w, w->crc); /* of all before it */
	put_u32(w, 0);
	flush(w);
}

static void write_all(struct writer *w)
{
	layout_crc_init(&w->crc_table);
	put_bytes(w, LAYOUT_MAGIC, LAYOUT_MAGIC_BYTES);
	put_u32(w, LAYOUT_VERSION);
	put_u32(w, 0);
	write_texts(w);
	write_process(w);
	write_arguments(w);
	write_modules(w);
	write_frames(w);
	write_lines(w);
	write_nodes(w);
	write_contexts(w);
	write_threads(w);
	write_not_followed(w);
	write_mappings(w);
	write_time(w);
	write_end(w);
}

int snapshot_file_write(const struct snapshot *snapshot, const struct frame_names *names,
			const char *version, unsigned depth, FILE *out, struct err *err)
{
	struct writer *w = calloc(1, sizeof(*w));
	int e = -ENOMEM;

	if (w) {
		w->s = snapshot;
		w->names = names;
		w->version = version;
		w->depth = depth;
		w->out = out;
		w->chunks = (struct chunks){w->buffer, sizeof(w->buffer), 0, flush, w};
		e = gather_texts(w);
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
	if (w) {
		vec_deinit(&w->texts);
		frame_table_deinit(&w->frames);
		free(w);
	}
	return e;
}
