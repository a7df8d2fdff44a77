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

/* C0, DEL and C1: what a terminal would obey. */
static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

size_t utf8_columns(const char *s)
{
	size_t columns = 0;
	uint32_t code;

	while (*s) {
		size_t len = utf8_next(s, &code);
		if (len && !is_control(code)) {
			s += len;
			columns++;
		} else {
			s++;
			columns += 4;
		}
	}
	return columns;
}

void utf8_print(FILE *out, const char *s)
{
	uint32_t code;

	while (*s) {
		size_t len = utf8_next(s, &code);
		if (len && !is_control(code)) {
			fwrite(s, 1, len, out);
			s += len;
		} else {
			fprintf(out, "\\x%02x", (uint8_t)*s++);
		}
	}
}
