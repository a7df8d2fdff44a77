/* Structs as bytes; see fields.h.  What goes wrong is remembered, and asked about once. */
#include "base/fields.h"

static void put(struct fields *f, const void *bytes, size_t len)
{
	if (f->bad || !vec_reserve(&f->bytes, f->bytes.len + len)) {
		f->bad = true;
		return;
	}
	if (len)
		memcpy(f->bytes.at + f->bytes.len, bytes, len);
	f->bytes.len += len;
}

void fields_deinit(struct fields *f)
{
	vec_deinit(&f->bytes);
}

static uint64_t number_of(const void *value, unsigned size)
{
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	switch (size) {
	case 1:
		return *(const uint8_t *)value;
	case 2:
		memcpy(&two, value, size);
		return two;
	case 4:
		memcpy(&four, value, size);
		return four;
	default:
		memcpy(&eight, value, size);
		return eight;
	}
}

static void number_set(void *value, unsigned size, uint64_t number)
{
	const uint16_t two = (uint16_t)number;
	const uint32_t four = (uint32_t)number;

	switch (size) {
	case 1:
		*(uint8_t *)value = (uint8_t)number;
		break;
	case 2:
		memcpy(value, &two, size);
		break;
	case 4:
		memcpy(value, &four, size);
		break;
	default:
		memcpy(value, &number, size);
	}
}

void fields_number(struct fields *f, void *value, unsigned size)
{
	uint8_t bytes[8];
	uint64_t number;

	if (f->reads) {
		number_set(value, size, cursor_uint(&f->in, size));
		f->bad |= f->in.bad;
		return;
	}
	number = number_of(value, size);
	for (unsigned i = 0; i < size; i++)
		bytes[i] = (uint8_t)(number >> (8 * i));
	put(f, bytes, size);
}

void fields_flag(struct fields *f, bool *value)
{
	uint8_t number = *value;

	FIELD(f, number);
	*value = number != 0;
}

void fields_string(struct fields *f, const char **text)
{
	if (f->reads) {
		*text = cursor_string(&f->in);
		f->bad |= f->in.bad;
		*text = *text ? *text : "";
	} else if (*text) {
		put(f, *text, strlen(*text) + 1);
	} else {
		put(f, "", 1);
	}
}

void fields_text(struct fields *f, char *text, size_t room)
{
	char end = 0;

	if (f->reads) {
		const char *read = cursor_string(&f->in);
		size_t len = read ? strlen(read) : room;

		f->bad |= len >= room;
		memcpy(text, f->bad ? &end : read, f->bad ? 1 : len + 1);
	} else {
		put(f, text, strnlen(text, room - 1));
		put(f, &end, 1);
	}
}

void fields_bytes(struct fields *f, void **bytes, size_t *len)
{
	uint32_t count = (uint32_t)*len;
	const uint8_t *read;

	FIELD(f, count);
	if (!f->reads) {
		put(f, *bytes, count);
		return;
	}
	read = cursor_bytes(&f->in, count);
	*bytes = read && count ? malloc(count) : NULL;
	*len = *bytes ? count : 0;
	f->bad |= !read || (count && !*bytes);
	if (*bytes)
		memcpy(*bytes, read, count);
}

bool fields_end(struct fields *f)
{
	return !f->bad && (!f->reads || f->in.at == f->in.end);
}
