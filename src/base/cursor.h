/*
 * A bounds-checked reader of bytes that somebody else wrote: little-endian (our wire and
 * files, most CPUs), or, where that is said, big-endian.
 *
 * Reading past the end gives 0 and sets `bad`, for good: a parser reads a whole
 * record and asks once.  Nothing here trusts a length.
 */
#ifndef MEMTRACE_CURSOR_H
#define MEMTRACE_CURSOR_H

#include "base/types.h"

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
	bool big; /* integers are big-endian */
};

static inline struct cursor cursor_over(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	return (struct cursor){at, at + len, false, false};
}

/* The same over bytes in a given order. */
static inline struct cursor cursor_in_order(const void *bytes, size_t len, bool big)
{
	struct cursor c = cursor_over(bytes, len);

	c.big = big;
	return c;
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

/* The next len bytes, or NULL (and bad) when there are fewer. */
static inline const uint8_t *cursor_bytes(struct cursor *c, size_t len)
{
	const uint8_t *at = c->at;

	if (c->bad || len > cursor_left(c)) {
		c->bad = true;
		return NULL;
	}
	c->at += len;
	return at;
}

/* An unsigned integer of `width` (1..8) bytes. */
static inline uint64_t cursor_uint(struct cursor *c, unsigned width)
{
	const uint8_t *b = cursor_bytes(c, width);
	uint64_t value = 0;

	for (unsigned i = 0; b && i < width; i++)
		value |= (uint64_t)b[c->big ? width - 1 - i : i] << (8 * i);
	return value;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)cursor_uint(c, 1);
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	return (uint16_t)cursor_uint(c, 2);
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	return (uint32_t)cursor_uint(c, 4);
}

static inline uint64_t cursor_u64(struct cursor *c)
{
	return cursor_uint(c, 8);
}

/* LEB128 (DWARF 5, 7.6).  Bits beyond 64 are dropped. */
uint64_t cursor_uleb(struct cursor *c);
int64_t cursor_sleb(struct cursor *c);

/* A NUL-terminated string within the bytes, or NULL (and bad). */
const char *cursor_string(struct cursor *c);

#endif
