/*
 * A snapshot file as bytes, sections, and texts that records refer to.
 *
 * A section says how long it is before it begins.  Of records that is known; of texts it is
 * the sum, made while each distinct text gets its offset.  Texts are told apart by where they
 * are in memory: whoever makes names keeps each once (symbols/cache.h, a file's string table),
 * and a text that is there twice costs bytes and nothing else.
 */
#include "heap/snapshot_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/order.h"

/* ---- bytes --------------------------------------------------------------------------- */

void snapshot_flush(struct snapshot_writer *w)
{
	size_t len = w->chunks.used;

	w->crc = layout_crc_add(&w->crc_table, w->crc, w->buffer, len);
	if (!w->failed && fwrite(w->buffer, 1, len, w->out) != len)
		w->failed = errno ? -errno : -EIO;
	w->written += len;
	w->chunks.used = 0;
}

static void flush(void *w)
{
	snapshot_flush(w);
}

void snapshot_writer_init(struct snapshot_writer *w)
{
	w->chunks = (struct chunks){w->buffer, sizeof(w->buffer), 0, flush, w};
	layout_crc_init(&w->crc_table);
}

void snapshot_writer_deinit(struct snapshot_writer *w)
{
	vec_deinit(&w->texts);
	frame_table_deinit(&w->frames);
}

void snapshot_put_bytes(struct snapshot_writer *w, const void *bytes, size_t len)
{
	chunks_put(&w->chunks, bytes, len);
}

void snapshot_put_uint(struct snapshot_writer *w, uint64_t value, unsigned width)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	snapshot_put_bytes(w, bytes, width);
}

void snapshot_put_u32(struct snapshot_writer *w, uint64_t value)
{
	snapshot_put_uint(w, value, 4);
}

void snapshot_put_u64(struct snapshot_writer *w, uint64_t value)
{
	snapshot_put_uint(w, value, 8);
}

void snapshot_put_section(struct snapshot_writer *w, enum layout_section type, uint32_t record,
			  uint64_t bytes)
{
	snapshot_put_u32(w, type);
	snapshot_put_u32(w, record);
	snapshot_put_u64(w, bytes);
}

/* Sections begin at multiples of 8. */
void snapshot_end_section(struct snapshot_writer *w)
{
	static const uint8_t zeros[8];

	snapshot_put_bytes(w, zeros, (8 - (w->written + w->chunks.used) % 8) % 8);
}

/* ---- texts --------------------------------------------------------------------------- */

static int compare_texts(const void *a, const void *b)
{
	const struct snapshot_writer_text *x = a, *y = b;

	return order_u64((uintptr_t)x->at, (uintptr_t)y->at);
}

static bool add_text(struct snapshot_writer *w, const char *text)
{
	return !text || !*text ||
	       vec_push(&w->texts, ((struct snapshot_writer_text){.at = text}));
}

static bool add_names(struct snapshot_writer *w)
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

static bool add_process(struct snapshot_writer *w)
{
	const struct snapshot *s = w->s;
	bool ok = add_text(w, w->version) && add_text(w, s->engine) && add_text(w, s->engine_reason);

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

/* In the order of memory. */
int snapshot_gather_texts(struct snapshot_writer *w)
{
	size_t kept = 0;

	if (!add_process(w) || !add_names(w))
		return -ENOMEM;
	if (w->texts.len)
		qsort(w->texts.at, w->texts.len, sizeof(*w->texts.at), compare_texts);
	w->texts_len = 1; /* offset 0: none */
	for (size_t i = 0; i < w->texts.len; i++) {
		struct snapshot_writer_text *text = &w->texts.at[i];

		if (kept && w->texts.at[kept - 1].at == text->at)
			continue;
		text->offset = (uint32_t)w->texts_len;
		w->texts_len += strlen(text->at) + 1;
		w->texts.at[kept++] = *text;
	}
	w->texts.len = kept;
	return w->texts_len > UINT32_MAX ? -EFBIG : 0;
}

void snapshot_put_text(struct snapshot_writer *w, const char *text)
{
	const struct snapshot_writer_text key = {.at = text};
	const struct snapshot_writer_text *found =
		text && *text
			? bsearch(&key, w->texts.at, w->texts.len, sizeof(key), compare_texts)
			: NULL;

	snapshot_put_u32(w, found ? found->offset : 0);
}

void snapshot_write_texts(struct snapshot_writer *w)
{
	snapshot_put_section(w, LAYOUT_TEXTS, 1, w->texts_len);
	snapshot_put_bytes(w, "", 1);
	for (size_t i = 0; i < w->texts.len; i++)
		snapshot_put_bytes(w, w->texts.at[i].at, strlen(w->texts.at[i].at) + 1);
	snapshot_end_section(w);
}
