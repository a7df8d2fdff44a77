/* The variable-length forms of the byte cursor. */
#include "base/cursor.h"

#include <string.h>

/* Seven bits a byte, the lowest first; *bits: how many there were, *last: the last byte. */
static uint64_t leb(struct cursor *c, unsigned *bits, uint8_t *last)
{
	uint64_t value = 0;

	*bits = 0;
	do {
		*last = cursor_u8(c);
		if (*bits < 64)
			value |= (uint64_t)(*last & 0x7f) << *bits;
		*bits += 7;
	} while ((*last & 0x80) && !c->bad);
	return value;
}

uint64_t cursor_uleb(struct cursor *c)
{
	unsigned bits;
	uint8_t last;

	return leb(c, &bits, &last);
}

int64_t cursor_sleb(struct cursor *c)
{
	unsigned bits;
	uint8_t last;
	uint64_t value = leb(c, &bits, &last);

	if (bits < 64 && (last & 0x40))
		value |= ~0ull << bits;
	return (int64_t)value;
}

const char *cursor_string(struct cursor *c)
{
	const uint8_t *nul = c->bad ? NULL : memchr(c->at, 0, cursor_left(c));

	if (!nul) {
		c->bad = true;
		return NULL;
	}
	return (const char *)cursor_bytes(c, (size_t)(nul - c->at) + 1);
}
