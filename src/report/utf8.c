/* UTF-8 (RFC 3629): the shortest form, no surrogates, up to U+10FFFF. */
#include "report/utf8.h"

size_t utf8_next(const char *s, uint32_t *code)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	const uint8_t *b = (const uint8_t *)s;
	uint32_t value;
	size_t len;

	if (b[0] < 0x80) {
		*code = b[0];
		return b[0] ? 1 : 0;
	}
	len = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
	if (b[0] < 0xc2 || b[0] > 0xf4)
		return 0;
	value = b[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0; /* the NUL ends up here too */
		value = value << 6 | (b[i] & 0x3f);
	}
	if (value < smallest[len] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 0;
	*code = value;
	return len;
}

/*
 * What a terminal would obey (C0, DEL, C1), and what would show something else than is there:
 * line separators, marks that turn the direction of what follows (UAX 9), and what takes no
 * place.
 */
bool utf8_is_control(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0, 0x1f},	  {0x7f, 0x9f},	    {0xad, 0xad},	{0x61c, 0x61c},
		{0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e},	{0x2060, 0x206f},
		{0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges) && code >= ranges[i].first; i++)
		if (code <= ranges[i].last)
			return true;
	return false;
}

/* The length of what can be shown as it is; 0: the byte is to be escaped. */
static size_t plain(const char *s)
{
	uint32_t code;
	size_t len = utf8_next(s, &code);

	return len && !utf8_is_control(code) ? len : 0;
}

size_t utf8_columns(const char *s)
{
	size_t columns = 0;

	while (*s) {
		size_t len = plain(s);

		s += len ? len : 1;
		columns += len ? 1 : 4;
	}
	return columns;
}

/* Writes the character at s, or an escape; how long it is. */
static size_t print_one(FILE *out, const char *s)
{
	size_t len = plain(s);

	if (len)
		fwrite(s, 1, len, out);
	else
		fprintf(out, "\\x%02x", (uint8_t)*s);
	return len ? len : 1;
}

void utf8_print(FILE *out, const char *s)
{
	while (*s)
		s += print_one(out, s);
}

void utf8_print_as(FILE *out, const char *s, char (*as)(const char *at, const void *arg),
		   const void *arg)
{
	while (*s) {
		char other = as(s, arg);

		if (other == *s) {
			s += print_one(out, s);
		} else {
			putc(other, out);
			s++;
		}
	}
}
