/*
 * A snapshot file as sections of records, and texts that records refer to.
 *
 * Sections are found first, in any order, each at most once; those of unknown types are passed
 * over.  A record may be longer than ours (a later memtrace's: its rest is passed over) or
 * shorter (an earlier one's: what it lacks is 0).  No count is believed that its section does
 * not have the bytes for.
 */
#include "heap/snapshot_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int snapshot_broken(struct snapshot_reader *r, const char *what)
{
	return r->no_memory
		       ? err_set(r->err, -ENOMEM, "no memory for the snapshot")
		       : err_set(r->err, -EINVAL, "the snapshot file is damaged: %s", what);
}

void *snapshot_allocate(struct snapshot_reader *r, size_t count, size_t size)
{
	void *memory = calloc(count + 1, size);

	r->no_memory |= !memory;
	return memory;
}

/* ---- finding sections ---------------------------------------------------------------- */

bool snapshot_file_is(const uint8_t *bytes, size_t len)
{
	return len >= LAYOUT_MAGIC_BYTES && !memcmp(bytes, LAYOUT_MAGIC, LAYOUT_MAGIC_BYTES);
}

static int read_header(struct cursor *c, struct err *err)
{
	const uint8_t *magic = cursor_bytes(c, LAYOUT_MAGIC_BYTES);
	uint32_t version = cursor_u32(c);

	cursor_u32(c);
	if (!magic || !snapshot_file_is(magic, LAYOUT_MAGIC_BYTES))
		return err_set(err, -EINVAL, "this is no snapshot of memtrace");
	if (c->bad)
		return err_set(err, -EINVAL, "the snapshot file is cut short");
	if (version != LAYOUT_VERSION)
		return err_set(err, -ENOTSUP,
			       "the snapshot is of version %u, from a later memtrace; %u is "
			       "known here",
			       version, LAYOUT_VERSION);
	return 0;
}

static bool check_crc(const uint8_t *bytes, size_t len, uint32_t crc)
{
	struct layout_crc table;

	layout_crc_init(&table);
	return layout_crc_add(&table, 0, bytes, len) == crc;
}

static bool note_section(struct snapshot_reader *r, uint32_t type, uint32_t record,
			 uint64_t len, const uint8_t *at)
{
	if (!record || record > LAYOUT_MAX_RECORD || len % record || len / record > UINT32_MAX)
		return false;
	if (type >= LAYOUT_SECTIONS)
		return true; /* of a later memtrace */
	if (r->sections[type].at)
		return false;
	r->sections[type] = (struct snapshot_section){at, record, (size_t)(len / record)};
	return true;
}

int snapshot_find_sections(struct snapshot_reader *r, const uint8_t *bytes, size_t len)
{
	struct cursor c = cursor_over(bytes, len);
	int e = read_header(&c, r->err);
	uint32_t type = UINT32_MAX;

	while (!e && type != LAYOUT_END) {
		uint32_t record;
		uint64_t size;
		const uint8_t *at = c.at;

		type = cursor_u32(&c);
		record = cursor_u32(&c);
		size = cursor_u64(&c);
		if (c.bad || size > cursor_left(&c))
			return err_set(r->err, -EINVAL, "the snapshot file is cut short");
		if (type == LAYOUT_END) {
			struct cursor end = cursor_over(c.at, (size_t)size);
			uint32_t crc = cursor_u32(&end);

			if (end.bad || !check_crc(bytes, (size_t)(c.at - bytes), crc))
				return snapshot_broken(r, "its checksum is wrong");
			break;
		}
		if (!note_section(r, type, record, size, c.at))
			return snapshot_broken(r, "a section is none");
		c.at += size;
		cursor_bytes(&c, (8 - (size_t)(c.at - at) % 8) % 8);
	}
	return e;
}

struct cursor snapshot_record(const struct snapshot_section *section, size_t i, uint8_t *bytes,
			      size_t len)
{
	size_t n = section->record < len ? section->record : len;

	memset(bytes, 0, len);
	memcpy(bytes, section->at + i * section->record, n);
	return cursor_over(bytes, len);
}

/* ---- texts --------------------------------------------------------------------------- */

int snapshot_read_texts(struct snapshot_reader *r)
{
	const struct snapshot_section *s = &r->sections[LAYOUT_TEXTS];

	if (!s->at || s->record != 1 || !s->count || s->at[0] || s->at[s->count - 1])
		return snapshot_broken(r, "its texts have no end");
	r->file->texts = snapshot_allocate(r, s->count, 1);
	if (!r->file->texts)
		return snapshot_broken(r, "");
	memcpy(r->file->texts, s->at, s->count);
	return 0;
}

const char *snapshot_text(const struct snapshot_reader *r, struct cursor *c, bool *bad)
{
	uint32_t offset = cursor_u32(c);

	if (offset >= r->sections[LAYOUT_TEXTS].count) {
		*bad = true;
		return NULL;
	}
	return r->file->texts[offset] ? r->file->texts + offset : NULL;
}

char *snapshot_text_copy(struct snapshot_reader *r, struct cursor *c, bool *bad)
{
	const char *text = snapshot_text(r, c, bad);
	char *copy = text ? strdup(text) : NULL;

	r->no_memory |= text && !copy;
	return copy;
}

void snapshot_text_fill(const struct snapshot_reader *r, struct cursor *c, char *to,
			size_t size, bool *bad)
{
	const char *text = snapshot_text(r, c, bad);
	size_t len = text ? strlen(text) : 0;

	len = len < size ? len : size - 1;
	if (len)
		memcpy(to, text, len);
	to[len] = '\0';
}

bool snapshot_counts_sound(uint64_t allocs, uint64_t frees, uint64_t allocated, uint64_t freed)
{
	return frees <= allocs && freed <= allocated;
}
