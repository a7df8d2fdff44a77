/*
 * What a member is in a line of a JSON report (RFC 8259), as decode_layout.c writes lines: its
 * name, a colon, a blank, its value.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/decode_parts.h"

#define RATE_MOST 1e15

const char *decode_value(const char *line, const char *member)
{
	char key[40];
	const char *at;

	snprintf(key, sizeof(key), "\"%s\": ", member);
	at = strstr(line, key);
	return at ? at + strlen(key) : NULL;
}

static size_t put_utf8(char *to, unsigned code)
{
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	for (size_t i = len; i-- > 1; code >>= 6)
		to[i] = (char)(0x80 | (code & 0x3f));
	to[0] = (char)(lead[len == 1 ? 0 : len] | code);
	return len;
}

/* The four digits behind "\u", or 0. */
static unsigned unit(const char *text)
{
	unsigned code;

	return text[0] == '\\' && text[1] == 'u' &&
			       strspn(text + 2, "0123456789abcdefABCDEF") >= 4 &&
			       sscanf(text + 2, "%4x", &code) == 1
		       ? code
		       : 0;
}

/* What the escape at text stands for, and its length.  A half of a pair alone is U+FFFD. */
static unsigned escaped(const char *text, size_t *len)
{
	static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
	const char *letter = text[1] ? strchr(letters, text[1]) : NULL;
	unsigned code = unit(text), low;

	*len = code ? 6 : text[1] ? 2 : 1;
	if (!code)
		return letter ? (unsigned)meanings[letter - letters] : (uint8_t)text[*len - 1];
	if (code < 0xd800 || code > 0xdfff)
		return code;
	low = unit(text + 6);
	if (code > 0xdbff || low < 0xdc00 || low > 0xdfff)
		return 0xfffd;
	*len = 12;
	return 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
}

char *decode_string(const char *value)
{
	char *text, *to;
	size_t len;

	if (!value || *value != '"')
		return NULL;
	to = text = malloc(strlen(value) + 1);
	if (!text)
		return NULL;
	for (value++; *value && *value != '"'; value += len) {
		len = 1;
		if (*value == '\\')
			to += put_utf8(to, escaped(value, &len));
		else
			*to++ = *value;
	}
	*to = '\0';
	return text;
}

const char *decode_behind(const char *at)
{
	bool string = false;
	size_t depth = 0;

	for (; *at; at++) {
		if (string && *at == '\\' && at[1])
			at++;
		else if (*at == '"')
			string = !string;
		else if (!string && (*at == '{' || *at == '['))
			depth++;
		else if (!string && (*at == '}' || *at == ']') && depth)
			depth--;
		else
			continue;
		if (!string && !depth)
			return at + 1;
	}
	return NULL;
}

char *decode_element(const char **at, bool *no_memory)
{
	const char *begin = *at + strspn(*at, ", ");
	const char *end = *begin == '"' || *begin == '{' ? decode_behind(begin) : NULL;
	char *element = end ? strndup(begin, (size_t)(end - begin)) : NULL;

	if (end)
		*at = end;
	*no_memory |= end && !element;
	return element;
}

char *decode_frame_alone(const char *text, const char **inlined)
{
	const char *at = decode_value(text, "inlined");
	const char *behind = at && *at == '[' ? decode_behind(at) : NULL;
	char *own = strdup(text);

	if (inlined)
		*inlined = behind ? at + 1 : "";
	if (own && behind)
		memmove(own + (at - text), behind, strlen(behind) + 1);
	return own;
}

uint64_t decode_number(const char *line, const char *member)
{
	const char *value = decode_value(line, member);

	return value && *value != '-' ? strtoull(value, NULL, 10) : 0;
}

uint64_t decode_address(const char *line, const char *member)
{
	const char *value = decode_value(line, member);

	return value && *value == '"' ? strtoull(value + 1, NULL, 16) : 0;
}

bool decode_is_true(const char *line, const char *member)
{
	const char *value = decode_value(line, member);

	return value && !strncmp(value, "true", 4);
}

double decode_time(const char *line, const char *member)
{
	const char *value = decode_value(line, member);
	unsigned hundredths = 0;
	struct tm tm = {0};

	if (!value || sscanf(value, "\"%4d-%2d-%2dT%2d:%2d:%2d.%2u", &tm.tm_year, &tm.tm_mon,
			     &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &hundredths) < 6)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (double)timegm(&tm) + hundredths / 100.0;
}

/* Bytes an hour; of a file that somebody else wrote it may be any number, or none (NAN). */
static double rate_at(const char *at, char **end)
{
	double rate = strtod(at, end);

	return rate > -RATE_MOST && rate < RATE_MOST ? rate : 0;
}

/* As far as the line has it. */
static void decode_rate(const char *line, struct verdict *ret)
{
	const char *rate = decode_value(line, "bytes_per_hour");
	const char *range = decode_value(line, "bytes_per_hour_range");
	char *end;

	if (rate)
		ret->per_hour = rate_at(rate, &end);
	if (ret->per_hour < 0)
		ret->per_hour = 0;
	if (!range || *range != '[')
		return;
	ret->lowest = rate_at(range + 1, &end);
	ret->highest = *end == ',' ? rate_at(end + 1, &end) : ret->per_hour;
}

void decode_verdict(struct decoded *to, const char *line, struct verdict *ret, bool *no_memory)
{
	char *name = decode_string(decode_value(line, "verdict"));
	const char *said =
		decoded_keep(to, decode_string(decode_value(line, "evidence")), no_memory);

	if (name && verdict_of_name(name) != VERDICT_WORDS)
		ret->word = verdict_of_name(name);
	free(name);
	if (said)
		ret->said = said;
	decode_rate(line, ret);
}
