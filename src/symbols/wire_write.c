/*
 * Writing the wire: values in, bytes of messages out.
 *
 * A message is written behind the ones that wait already; its length is filled in at
 * its end.  A failure (memory, a limit) is remembered in out->bad and asked about once,
 * when the bytes are to be sent.  An answer of many records is split where it passes
 * WIRE_SOFT_PAYLOAD: every part can be read without the others, its texts included.
 */
#include "symbols/wire.h"

#include <stdlib.h>
#include <string.h>

void wire_out_deinit(struct wire_out *out)
{
	vec_deinit(&out->bytes);
	*out = (struct wire_out){};
}

/* Room for len more bytes, which are counted as written; NULL (and bad) without memory. */
static uint8_t *put(struct wire_out *out, size_t len)
{
	size_t at = out->bytes.len;

	if (out->bad || !vec_reserve(&out->bytes, at + len)) {
		out->bad = true;
		return NULL;
	}
	out->bytes.len += len;
	return out->bytes.at + at;
}

static void put_uint(struct wire_out *out, uint64_t value, unsigned width)
{
	uint8_t *bytes = put(out, width);

	for (unsigned i = 0; bytes && i < width; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static void put_bytes(struct wire_out *out, const void *bytes, size_t len)
{
	uint8_t *to = put(out, len);

	if (to && len)
		memcpy(to, bytes, len);
}

/* The text as it is written: a longer one than WIRE_MAX_TEXT, in room, ends in "...". */
static const char *cut(const char *text, char room[WIRE_MAX_TEXT + 1])
{
	if (strnlen(text, WIRE_MAX_TEXT + 1) <= WIRE_MAX_TEXT)
		return text;
	memcpy(room, text, WIRE_MAX_TEXT - 3);
	memcpy(room + WIRE_MAX_TEXT - 3, "...", 4);
	return room;
}

/* A text; NULL is absent. */
static void put_text(struct wire_out *out, const char *text)
{
	char room[WIRE_MAX_TEXT + 1];
	size_t len;

	if (!text) {
		put_uint(out, 0xffff, 2);
		return;
	}
	text = cut(text, room);
	len = strlen(text);
	put_uint(out, len, 2);
	put_bytes(out, text, len + 1);
}

static void begin(struct wire_out *out, enum wire_type type, uint32_t request)
{
	out->begin = out->bytes.len;
	put_uint(out, 0, 4);
	put_uint(out, type, 2);
	put_uint(out, 0, 2);
	put_uint(out, request, 4);
}

static void patch(struct wire_out *out, size_t at, uint64_t value, unsigned width)
{
	for (unsigned i = 0; !out->bad && i < width; i++)
		out->bytes.at[out->begin + at + i] = (uint8_t)(value >> (8 * i));
}

static void end(struct wire_out *out)
{
	size_t length = out->bytes.len - out->begin - WIRE_HEADER;

	if (length > WIRE_MAX_PAYLOAD)
		out->bad = true;
	patch(out, 0, length, 4);
}

void wire_write_hello(struct wire_out *out, uint32_t request, const struct wire_hello *hello)
{
	begin(out, WIRE_HELLO, request);
	put_bytes(out, WIRE_MAGIC, strlen(WIRE_MAGIC));
	put_uint(out, hello->oldest, 2);
	put_uint(out, hello->newest, 2);
	put_text(out, hello->program);
	end(out);
}

void wire_write_welcome(struct wire_out *out, uint32_t request,
			const struct wire_welcome *welcome)
{
	begin(out, WIRE_WELCOME, request);
	put_bytes(out, WIRE_MAGIC, strlen(WIRE_MAGIC));
	put_uint(out, welcome->version, 2);
	put_text(out, welcome->program);
	put_uint(out, welcome->dir_count, 2);
	for (size_t i = 0; i < welcome->dir_count; i++)
		put_text(out, welcome->dirs[i]);
	end(out);
}

void wire_write_module(struct wire_out *out, uint32_t request, const struct wire_module *module)
{
	begin(out, WIRE_MODULE, request);
	put_uint(out, module->handle, 4);
	put_uint(out, module->pid, 4);
	put_uint(out, module->machine, 2);
	put_text(out, module->id.path);
	put_uint(out, module->id.build_id_len, 1);
	put_bytes(out, module->id.build_id, module->id.build_id_len);
	put_uint(out, module->id.fingerprint_len, 2);
	put_bytes(out, module->id.fingerprint, module->id.fingerprint_len);
	put_text(out, *module->id.debuglink ? module->id.debuglink : NULL);
	put_uint(out, module->id.debuglink_crc, 4);
	end(out);
}

void wire_write_module_info(struct wire_out *out, uint32_t request,
			    const struct wire_module_info *info)
{
	begin(out, WIRE_MODULE_INFO, request);
	put_uint(out, info->handle, 4);
	put_uint(out, info->names, 1);
	put_text(out, info->source);
	put_text(out, info->remark);
	end(out);
}

void wire_write_range(struct wire_out *out, uint32_t request, enum wire_type type,
		      const struct wire_range *range)
{
	begin(out, type, request);
	put_uint(out, range->handle, 4);
	put_uint(out, range->begin, 8);
	put_uint(out, range->end, 8);
	end(out);
}

void wire_write_numbers(struct wire_out *out, uint32_t request, enum wire_type type,
			uint32_t handle, const uint64_t *values, uint32_t count)
{
	begin(out, type, request);
	put_uint(out, handle, 4);
	put_uint(out, count, 4);
	for (uint32_t i = 0; i < count; i++)
		put_uint(out, values[i], 8);
	if (count > WIRE_MAX_OFFSETS)
		out->bad = true;
	end(out);
}

uint32_t wire_write_symbols(struct wire_out *out, uint32_t request, uint32_t handle,
			    const char *const *names, size_t count)
{
	uint32_t n = 0;

	begin(out, WIRE_SYMBOLS, request);
	put_uint(out, handle, 4);
	put_uint(out, 0, 4);
	/* A text is smaller than what is left between the soft and the hard limit. */
	while (n < count && n < WIRE_MAX_NAMES && !out->bad &&
	       out->bytes.len - out->begin < WIRE_SOFT_PAYLOAD)
		put_text(out, names[n++]);
	patch(out, WIRE_HEADER + 4, n, 4);
	end(out);
	return n;
}

void wire_write_progress(struct wire_out *out, uint32_t request,
			 const struct wire_progress *progress)
{
	begin(out, WIRE_PROGRESS, request);
	put_uint(out, progress->done, 8);
	put_uint(out, progress->total, 8);
	put_text(out, progress->what);
	end(out);
}

void wire_write_error(struct wire_out *out, uint32_t request, enum wire_code code,
		      const char *text)
{
	begin(out, WIRE_ERROR, request);
	put_uint(out, code, 4);
	put_text(out, text);
	end(out);
}

void wire_write_look(struct wire_out *out, uint32_t request, uint64_t length)
{
	begin(out, WIRE_LOOK, request);
	put_uint(out, length, 8);
	end(out);
}

void wire_write_fetch(struct wire_out *out, uint32_t request, const struct wire_fetch *fetch)
{
	begin(out, WIRE_FETCH, request);
	put_uint(out, fetch->what, 2);
	put_uint(out, fetch->of, 4);
	put_uint(out, fetch->at, 8);
	put_uint(out, fetch->size, 8);
	end(out);
}

void wire_write_bytes(struct wire_out *out, uint32_t request, enum wire_type type, bool more,
		      const uint8_t *bytes, size_t len)
{
	begin(out, type, request);
	put_bytes(out, bytes, len);
	patch(out, 6, more ? WIRE_MORE : 0, 2);
	end(out);
}

/* ---- answers of many records ------------------------------------------------------ */

static void part_begin(struct wire_answer *answer)
{
	begin(answer->out, answer->type, answer->request);
	put_uint(answer->out, answer->handle, 4);
	put_uint(answer->out, answer->first, 4);
	put_uint(answer->out, 0, 4);
	vec_clear(&answer->defined);
	if (answer->slots.len)
		memset(answer->slots.at, 0, answer->slots.len * sizeof(*answer->slots.at));
}

static void part_end(struct wire_answer *answer, bool more)
{
	patch(answer->out, 6, more ? WIRE_MORE : 0, 2);
	patch(answer->out, WIRE_HEADER + 8, answer->count, 4);
	end(answer->out);
	answer->first += answer->count;
	answer->count = 0;
}

void wire_answer_begin(struct wire_answer *answer, struct wire_out *out, uint32_t request,
		       enum wire_type type, uint32_t handle)
{
	*answer = (struct wire_answer){
		.out = out, .request = request, .handle = handle, .type = type};
	part_begin(answer);
}

void wire_answer_end(struct wire_answer *answer)
{
	part_end(answer, false);
	vec_deinit(&answer->defined);
	vec_deinit(&answer->slots);
}

/* Called before each record: begins a further message when this one is long enough. */
static void record_begin(struct wire_answer *answer)
{
	if (answer->count && answer->out->bytes.len - answer->out->begin >= WIRE_SOFT_PAYLOAD) {
		part_end(answer, true);
		part_begin(answer);
	}
	answer->count++;
}

static uint32_t text_hash(const char *text)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u;
	return hash;
}

/* The slot of text: its number, or 0 where it would go. */
static uint32_t *slot_find(struct wire_answer *answer, const char *text)
{
	size_t mask = answer->slots.len - 1;
	size_t i = text_hash(text) & mask;

	for (;; i = (i + 1) & mask) {
		uint32_t number = answer->slots.at[i];
		if (!number ||
		    !strcmp((char *)answer->out->bytes.at + answer->defined.at[number - 1],
			    text))
			return &answer->slots.at[i];
	}
}

/* Keeps the slots at most half full; their count is a power of two. */
static bool slots_grow(struct wire_answer *answer)
{
	size_t want = answer->slots.len ? answer->slots.len : 256;

	if (answer->slots.len && 2 * (answer->defined.len + 1) <= answer->slots.len)
		return true;
	want *= answer->slots.len ? 2 : 1;
	if (!vec_reserve(&answer->slots, want))
		return false;
	answer->slots.len = want;
	memset(answer->slots.at, 0, want * sizeof(*answer->slots.at));
	for (size_t i = 0; i < answer->defined.len; i++)
		*slot_find(answer, (char *)answer->out->bytes.at + answer->defined.at[i]) =
			(uint32_t)i + 1;
	return true;
}

static void put_reference(struct wire_answer *answer, const char *text)
{
	struct wire_out *out = answer->out;
	char room[WIRE_MAX_TEXT + 1];
	uint32_t *slot;

	if (!text || out->bad || !slots_grow(answer)) {
		out->bad |= text != NULL;
		put_uint(out, 0, 4);
		return;
	}
	text = cut(text, room); /* what is found again is what was written */
	slot = slot_find(answer, text);
	if (*slot) {
		put_uint(out, *slot, 4);
		return;
	}
	/* The text will come behind its number (4 bytes) and its length (2). */
	if (!vec_push(&answer->defined, out->bytes.len + 6)) {
		out->bad = true;
		return;
	}
	*slot = (uint32_t)answer->defined.len;
	put_uint(out, *slot, 4);
	put_text(out, text);
}

static void put_frame(struct wire_answer *answer, const struct wire_frame *frame)
{
	put_reference(answer, frame->function);
	put_reference(answer, frame->file);
	put_uint(answer->out, frame->line, 4);
	put_uint(answer->out, frame->inlined, 1);
}

void wire_answer_frames(struct wire_answer *answer, const struct wire_frame *frames,
			size_t count)
{
	size_t kept = count <= WIRE_MAX_INLINED ? count : WIRE_MAX_INLINED;

	record_begin(answer);
	put_uint(answer->out, kept, 1);
	for (size_t i = 0; i < kept; i++)
		put_frame(answer, &frames[i + 1 < kept ? i : count - 1]);
}

void wire_answer_value(struct wire_answer *answer, uint64_t value, uint64_t size)
{
	record_begin(answer);
	put_uint(answer->out, value, 8);
	put_uint(answer->out, size, 8);
}

static void put_row(struct wire_answer *answer, const struct row *row)
{
	put_uint(answer->out, (uint32_t)row->cfa_offset, 4);
	put_uint(answer->out, (uint16_t)row->ra_offset, 2);
	put_uint(answer->out, (uint16_t)row->fp_offset, 2);
	put_uint(answer->out, row->cfa, 1);
	put_uint(answer->out, row->ra, 1);
	put_uint(answer->out, row->fp, 1);
	put_uint(answer->out, row->flags, 1);
}

void wire_answer_unwind(struct wire_answer *answer, uint64_t vaddr, const struct row *row)
{
	record_begin(answer);
	put_uint(answer->out, vaddr, 8);
	put_row(answer, row);
}

void wire_answer_bytes(struct wire_answer *answer, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < WIRE_SOFT_PAYLOAD ? len - at : WIRE_SOFT_PAYLOAD;
		if (answer->count) {
			part_end(answer, true);
			part_begin(answer);
		}
		put_bytes(answer->out, bytes + at, n);
		answer->count = (uint32_t)n;
	}
}
