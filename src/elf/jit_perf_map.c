/*
 * /tmp/perf-PID.map, a line for each function:
 *
 *     7f4c1a2b0040 5c LazyCompile:*handle /srv/app.js:12
 *     begin        size  name, to the end of the line; both numbers in hex, with 0x or without
 *
 * Anybody can have written it: a line is looked at as bytes, within limits, and one that is not like
 * that is passed over.  The last line counts when its newline is there.
 */
#include <errno.h>
#include <string.h>

#include "elf/jit_functions.h"

static bool take_hex(const char **at, const char *end, uint64_t *ret)
{
	const char *p = *at;
	uint64_t value = 0;
	unsigned digits = 0;

	if (end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
		p += 2;
	for (; p < end; p++, digits++) {
		unsigned c = (unsigned char)*p, digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (c | 0x20) - 'a' + 10;
		else
			break;
		if (value >> 60)
			return false;
		value = value << 4 | digit;
	}
	if (!digits || p == end || *p != ' ')
		return false;
	while (p < end && *p == ' ')
		p++;
	*at = p;
	*ret = value;
	return true;
}

/* A line without its newline; *name: the rest, of at least one byte. */
static bool take_line(const char *at, const char *end, uint64_t *begin, uint64_t *size,
		      const char **name)
{
	if (!take_hex(&at, end, begin) || !take_hex(&at, end, size) || at == end)
		return false;
	*name = at;
	return true;
}

/* The whole lines of a piece that lies at `at` of the file.  Returns how many bytes they are. */
static int64_t take_lines(const char *text, size_t len, uint64_t at, uint32_t number,
			  struct jit_functions *to)
{
	size_t done = 0;

	while (done < len) {
		const char *line = text + done, *end = memchr(line, '\n', len - done), *name;
		uint64_t begin, size;

		if (!end)
			break;
		if (end - line <= JIT_LINE && take_line(line, end, &begin, &size, &name) &&
		    !jit_functions_add(to, begin, size, at + done, number))
			return -ENOMEM;
		done = (size_t)(end - text) + 1;
	}
	return (int64_t)done;
}

int jit_read_perf_map(struct memory *file, uint32_t number, uint64_t *at, uint64_t end,
		      struct jit_functions *to)
{
	enum { PIECE = 64 * 1024 };
	char *text = malloc(PIECE);
	int64_t done = text ? 1 : -ENOMEM;

	while (done > 0 && *at < end) {
		size_t len = end - *at < PIECE ? (size_t)(end - *at) : PIECE;

		if (memory_read(file, *at, text, len)) {
			done = -EIO;
			break;
		}
		done = take_lines(text, len, *at, number, to);
		if (!done && len == PIECE)
			done = PIECE; /* one line, much too long: what ends it is no line either */
		if (done > 0)
			*at += (uint64_t)done;
	}
	free(text);
	return done < 0 ? (int)done : 0;
}

bool jit_perf_map_name(struct memory *file, uint64_t whole, const struct jit_function *function,
		       char name[JIT_NAME])
{
	char text[JIT_NAME + 64];
	size_t len = sizeof(text);
	const char *end, *from;
	uint64_t begin, size;

	if (whole < function->at || whole - function->at < len)
		len = whole < function->at ? 0 : (size_t)(whole - function->at);
	if (memory_read(file, function->at, text, len))
		return false;
	end = memchr(text, '\n', len);
	if (!take_line(text, end ? end : text + len, &begin, &size, &from) ||
	    begin != function->begin || size != function->end - function->begin)
		return false;
	len = (size_t)((end ? end : text + len) - from);
	if (len && from[len - 1] == '\r')
		len--;
	if (len > JIT_NAME - 1)
		len = JIT_NAME - 1;
	memcpy(name, from, len);
	name[len] = '\0';
	return *name; /* (anything may be in it) */
}
