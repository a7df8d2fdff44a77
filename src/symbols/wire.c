/*
 * Reading the wire: where a message ends, and what it says.
 *
 * The invariant: a decoder hands out only what lies whole inside the message and keeps
 * the limits of wire.h, and a message is either taken whole (not one byte left over) or
 * refused with its name and the reason.  Nothing is allocated by a length that came over
 * the wire; what is counted there is bounded by the bytes that really arrived.
 * doc/protocol.md has the pictures; the writing half is wire_write.c.
 */
#include "symbols/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Every message: who sends it, and how long its payload may be. */
static const struct {
	const char *name;
	enum wire_side sender; /* 0: either */
	uint32_t max;
} types[] = {
	[WIRE_HELLO] = {"HELLO", WIRE_CLIENT, 8 << 10},
	[WIRE_WELCOME] = {"WELCOME", WIRE_SERVER, 512 << 10},
	[WIRE_MODULE] = {"MODULE", WIRE_CLIENT, 16 << 10},
	[WIRE_MODULE_INFO] = {"MODULE_INFO", WIRE_SERVER, 16 << 10},
	[WIRE_LOOKUP] = {"LOOKUP", WIRE_CLIENT, 64 << 10},
	[WIRE_FRAMES] = {"FRAMES", WIRE_SERVER, WIRE_MAX_PAYLOAD},
	[WIRE_SYMBOLS] = {"SYMBOLS", WIRE_CLIENT, 64 << 10},
	[WIRE_VALUES] = {"VALUES", WIRE_SERVER, 64 << 10},
	[WIRE_PROGRESS] = {"PROGRESS", WIRE_SERVER, 8 << 10},
	[WIRE_ERROR] = {"ERROR", 0, 8 << 10},
	[WIRE_UNWIND] = {"UNWIND", WIRE_CLIENT, 64},
	[WIRE_UNWIND_TABLE] = {"UNWIND_TABLE", WIRE_SERVER, 64 << 10},
	[WIRE_RULES] = {"RULES", WIRE_CLIENT, 64},
	[WIRE_RULE_TABLE] = {"RULE_TABLE", WIRE_SERVER, 64 << 10},
	[WIRE_LOOK] = {"LOOK", WIRE_CLIENT, 64},
	[WIRE_FETCH] = {"FETCH", WIRE_SERVER, 64},
	[WIRE_FETCHED] = {"FETCHED", WIRE_CLIENT, WIRE_MAX_FETCH},
	[WIRE_FOUND] = {"FOUND", WIRE_SERVER, WIRE_MAX_FETCH},
};

const char *wire_type_name(uint16_t type)
{
	return type < ARRAY_SIZE(types) ? types[type].name : NULL;
}

int64_t wire_read(const uint8_t *bytes, size_t len, enum wire_side sender,
		  struct wire_message *ret, struct err *err)
{
	struct cursor c = cursor_over(bytes, len);
	uint32_t length = cursor_u32(&c);
	uint16_t type = cursor_u16(&c);
	uint16_t flags = cursor_u16(&c);
	uint32_t request = cursor_u32(&c);

	if (c.bad)
		return 0;
	if (!wire_type_name(type))
		return err_set(err, -EPROTO, "unknown message %u", type);
	if (types[type].sender && types[type].sender != sender)
		return err_set(err, -EPROTO, "message %s is not for this side",
			       types[type].name);
	if (length > types[type].max)
		return err_set(err, -EPROTO, "message %s of %u bytes: at most %u are allowed",
			       types[type].name, length, types[type].max);
	if (length > cursor_left(&c))
		return 0;
	*ret = (struct wire_message){type, flags, request, cursor_over(c.at, length)};
	return WIRE_HEADER + (int64_t)length;
}

/* A text, or NULL when it is absent; *c is bad when it breaks the rules. */
static const char *read_text(struct cursor *c)
{
	uint16_t len = cursor_u16(c);
	const char *text;

	if (c->bad || len == 0xffff)
		return NULL;
	if (len > WIRE_MAX_TEXT) {
		c->bad = true;
		return NULL;
	}
	text = (const char *)cursor_bytes(c, (size_t)len + 1);
	if (text && strnlen(text, (size_t)len + 1) != len) {
		c->bad = true;
		return NULL;
	}
	return text;
}

/* A text that has to be there. */
static const char *read_needed_text(struct cursor *c)
{
	const char *text = read_text(c);

	if (!text)
		c->bad = true;
	return text;
}

static int broken(const struct wire_message *message, struct err *err)
{
	return err_set(err, -EPROTO, "broken message %s", types[message->type].name);
}

static int whole(const struct wire_message *message, const struct cursor *c, struct err *err)
{
	return c->bad || c->at != c->end ? broken(message, err) : 0;
}

static bool read_magic(struct cursor *c)
{
	const uint8_t *magic = cursor_bytes(c, strlen(WIRE_MAGIC));

	return magic && !memcmp(magic, WIRE_MAGIC, strlen(WIRE_MAGIC));
}

int wire_read_hello(const struct wire_message *message, struct wire_hello *ret, struct err *err)
{
	struct cursor c = message->payload;

	if (!read_magic(&c))
		return err_set(err, -EPROTO, "the peer is no memtrace");
	ret->oldest = cursor_u16(&c);
	ret->newest = cursor_u16(&c);
	ret->program = read_needed_text(&c);
	/* What a later version adds to HELLO comes behind this, and is not for us. */
	return c.bad ? broken(message, err) : 0;
}

int wire_read_welcome(const struct wire_message *message, struct wire_welcome *ret,
		      struct err *err)
{
	struct cursor c = message->payload;

	if (!read_magic(&c))
		return err_set(err, -EPROTO, "the peer is no memtrace-fs");
	ret->version = cursor_u16(&c);
	ret->program = read_needed_text(&c);
	ret->dir_count = cursor_u16(&c);
	if (c.bad || ret->dir_count > WIRE_MAX_DIRS)
		return broken(message, err);
	for (size_t i = 0; i < ret->dir_count; i++)
		ret->dirs[i] = read_needed_text(&c);
	return whole(message, &c, err);
}

int wire_read_module(const struct wire_message *message, struct wire_module *ret,
		     struct err *err)
{
	struct cursor c = message->payload;
	struct wire_module module = {0};
	const uint8_t *build_id, *fingerprint;
	size_t build_id_len, fingerprint_len;
	const char *debuglink;
	uint32_t crc;

	module.handle = cursor_u32(&c);
	module.pid = cursor_u32(&c);
	module.machine = cursor_u16(&c);
	module.id.path = read_needed_text(&c);
	build_id_len = cursor_u8(&c);
	build_id = cursor_bytes(&c, build_id_len);
	fingerprint_len = cursor_u16(&c);
	fingerprint = cursor_bytes(&c, fingerprint_len);
	debuglink = read_text(&c);
	crc = cursor_u32(&c);
	if (c.bad || module.handle >= WIRE_MAX_MODULES ||
	    fingerprint_len > WIRE_MAX_FINGERPRINT ||
	    !module_id_set_build_id(&module.id, build_id, build_id_len))
		return broken(message, err);
	/* One of a length that we don't make, and a name that is none, say nothing. */
	module_id_set_fingerprint(&module.id, fingerprint, fingerprint_len);
	module_id_set_debuglink(&module.id, debuglink, crc);
	if (whole(message, &c, err))
		return -EPROTO;
	*ret = module;
	return 0;
}

int wire_read_module_info(const struct wire_message *message, struct wire_module_info *ret,
			  struct err *err)
{
	struct cursor c = message->payload;

	ret->handle = cursor_u32(&c);
	ret->names = cursor_u8(&c);
	ret->source = read_text(&c);
	ret->remark = read_text(&c);
	return whole(message, &c, err);
}

int wire_read_range(const struct wire_message *message, struct wire_range *ret, struct err *err)
{
	struct cursor c = message->payload;

	ret->handle = cursor_u32(&c);
	ret->begin = cursor_u64(&c);
	ret->end = cursor_u64(&c);
	return whole(message, &c, err);
}

int wire_read_numbers(const struct wire_message *message, struct wire_numbers *ret,
		      struct err *err)
{
	struct cursor c = message->payload;

	ret->handle = cursor_u32(&c);
	ret->count = cursor_u32(&c);
	if (c.bad || ret->count > WIRE_MAX_OFFSETS)
		return broken(message, err);
	ret->values = cursor_bytes(&c, 8 * (size_t)ret->count);
	return whole(message, &c, err);
}

int wire_read_symbols(const struct wire_message *message, struct wire_names_list *ret,
		      struct err *err)
{
	struct cursor c = message->payload;

	ret->handle = cursor_u32(&c);
	ret->count = cursor_u32(&c);
	if (c.bad || ret->count > WIRE_MAX_NAMES)
		return broken(message, err);
	ret->texts = c;
	for (uint32_t i = 0; i < ret->count; i++)
		read_needed_text(&c);
	return whole(message, &c, err);
}

const char *wire_next_text(struct cursor *texts)
{
	return read_text(texts);
}

/* Of the records of one answer, all its messages together. */
static uint32_t records_max(uint16_t type)
{
	return type == WIRE_UNWIND_TABLE ? WIRE_MAX_UNWIND
	       : type == WIRE_RULE_TABLE ? WIRE_MAX_RULES
					 : WIRE_MAX_OFFSETS;
}

/* The bytes of a record; 0: they differ. */
static size_t record_size(uint16_t type)
{
	static const uint8_t sizes[] = {
		[WIRE_VALUES] = 16, [WIRE_UNWIND_TABLE] = 20, [WIRE_RULE_TABLE] = 1};

	return type < sizeof(sizes) ? sizes[type] : 0;
}

int wire_read_part(const struct wire_message *message, struct wire_part *ret, struct err *err)
{
	uint32_t limit = records_max(message->type);
	size_t left, size = record_size(message->type);
	struct cursor c = message->payload;

	ret->handle = cursor_u32(&c);
	ret->first = cursor_u32(&c);
	ret->count = cursor_u32(&c);
	left = cursor_left(&c);
	if (c.bad || ret->count > limit || ret->first > limit - ret->count ||
	    (size && left != size * ret->count))
		return broken(message, err);
	ret->records = c;
	return 0;
}

int wire_read_progress(const struct wire_message *message, struct wire_progress *ret,
		       struct err *err)
{
	struct cursor c = message->payload;

	ret->done = cursor_u64(&c);
	ret->total = cursor_u64(&c);
	ret->what = read_needed_text(&c);
	return whole(message, &c, err);
}

int wire_read_error(const struct wire_message *message, struct wire_error *ret, struct err *err)
{
	struct cursor c = message->payload;

	ret->code = cursor_u32(&c);
	ret->text = read_needed_text(&c);
	return whole(message, &c, err);
}

int wire_read_look(const struct wire_message *message, uint64_t *ret, struct err *err)
{
	struct cursor c = message->payload;

	*ret = cursor_u64(&c);
	return whole(message, &c, err);
}

int wire_read_fetch(const struct wire_message *message, struct wire_fetch *ret, struct err *err)
{
	struct cursor c = message->payload;

	ret->what = cursor_u16(&c);
	ret->of = cursor_u32(&c);
	ret->at = cursor_u64(&c);
	ret->size = cursor_u64(&c);
	return whole(message, &c, err);
}

uint64_t wire_next_value(struct wire_part *part, uint64_t *size)
{
	uint64_t value = cursor_u64(&part->records);

	*size = cursor_u64(&part->records);
	return value;
}

static void next_row(struct wire_part *part, struct row *ret)
{
	struct cursor *c = &part->records;

	ret->cfa_offset = (int32_t)cursor_u32(c);
	ret->ra_offset = (int16_t)cursor_u16(c);
	ret->fp_offset = (int16_t)cursor_u16(c);
	ret->cfa = cursor_u8(c);
	if (ret->cfa > ROW_CFA_ROOT) /* what a row may say of its CFA ends there */
		ret->cfa = ROW_CFA_NONE;
	ret->ra = cursor_u8(c);
	ret->fp = cursor_u8(c);
	ret->flags = cursor_u8(c);
}

void wire_next_unwind(struct wire_part *part, uint64_t *vaddr, struct row *ret)
{
	*vaddr = cursor_u64(&part->records);
	next_row(part, ret);
}

const uint8_t *wire_part_bytes(const struct wire_part *part)
{
	return part->records.at;
}

int wire_frames_open(const struct wire_message *message, struct wire_frames *ret,
		     struct err *err)
{
	int e;

	*ret = (struct wire_frames){};
	e = wire_read_part(message, &ret->part, err);
	ret->left = e ? 0 : ret->part.count;
	return e;
}

/* A reference: 0 none, n: text n, one more than there are: a new one, which follows. */
static const char *read_reference(struct wire_frames *frames)
{
	struct cursor *c = &frames->part.records;
	uint32_t number = cursor_u32(c);
	const char *text;

	if (c->bad || !number)
		return NULL;
	if (number <= frames->texts.len)
		return frames->texts.at[number - 1];
	text = number == frames->texts.len + 1 ? read_needed_text(c) : NULL;
	if (!text || !vec_push(&frames->texts, text))
		c->bad = true;
	return text;
}

int wire_frames_next(struct wire_frames *frames, struct wire_frame ret[WIRE_MAX_INLINED],
		     size_t *count, struct err *err)
{
	struct cursor *c = &frames->part.records;
	size_t n = cursor_u8(c);

	if (n > WIRE_MAX_INLINED || !frames->left)
		c->bad = true;
	for (size_t i = 0; i < n && !c->bad; i++) {
		ret[i].function = read_reference(frames);
		ret[i].file = read_reference(frames);
		ret[i].line = cursor_u32(c);
		ret[i].inlined = cursor_u8(c) & 1;
	}
	if (c->bad || (!--frames->left && c->at != c->end))
		return err_set(err, -EPROTO, "broken message FRAMES");
	*count = n;
	return 0;
}

void wire_frames_close(struct wire_frames *frames)
{
	vec_deinit(&frames->texts);
}
