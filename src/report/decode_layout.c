/*
 * A JSON report, however its text is laid out (`jq .`, `jq -c`), as lines the way json.c
 * writes it:
 *
 *     {                                          each member of the report, and
 *       "frames": [                              each element of its lists,
 *         {"pc": ..., "module": 0, ...}],        begins a line;
 *       "contexts": [
 *         {"id": 7, ..., "stack": [0,5,3], "stack_end": "root"},
 *         {"id": 8, ...
 *          "stack": [                            version 1:
 *           {"pc": ..., "module": ...},          a frame is a line of its own
 *          "stack_end": "root"}],
 *       "modules": [
 *         {"path": ..., "build_id": ...}]        so is a module
 *     }
 *
 * Only the structure is read here (RFC 8259), and numbers and words pass as they are.
 */
#include <errno.h>
#include <string.h>

#include "report/decode_parts.h"
#include "report/utf8.h"

enum { MAX_DEPTH = 16 };

/* What a value is, by the way that leads to it. */
enum place { REPORT, FRAMES, SHARED, CONTEXTS, CONTEXT, STACK, FRAME, MODULES, MODULE, OTHER };

struct layout {
	struct decode *decode;
	const char *at;
	VEC(char) line;
	enum decode_kind kind; /* of the line */
	size_t end;	       /* of its frame */
	unsigned depth;
	bool no_memory;
};

static bool value(struct layout *l, enum place place);

/* ---- writing --------------------------------------------------------------------------- */

static void put(struct layout *l, const char *text, size_t len)
{
	if (!len)
		return;
	if (!vec_reserve(&l->line, l->line.len + len)) {
		l->no_memory = true;
		return;
	}
	memcpy(l->line.at + l->line.len, text, len);
	l->line.len += len;
}

static void put_text(struct layout *l, const char *text)
{
	put(l, text, strlen(text));
}

/* Ends the line, and begins one that is `kind` and indented. */
static void next_line(struct layout *l, const char *indent, enum decode_kind kind)
{
	struct decode_line line = {.kind = l->kind, .end = l->end};

	put(l, "", 1);
	line.text = l->no_memory ? NULL : strdup(l->line.at);
	if (!line.text || !vec_push(&l->decode->lines, line)) {
		free(line.text);
		l->no_memory = true;
	}
	vec_clear(&l->line);
	l->kind = kind;
	l->end = 0;
	put_text(l, indent);
}

/* ---- reading --------------------------------------------------------------------------- */

/* Whether the next character that counts is c. */
static bool next_is(struct layout *l, char c)
{
	l->at += strspn(l->at, " \t\r\n");
	return *l->at == c;
}

/* The same; and it is passed over. */
static bool take(struct layout *l, char c)
{
	if (!next_is(l, c))
		return false;
	l->at++;
	return true;
}

/* One that is to be escaped, and may not be, is; what is behind this only copies. */
static void character(struct layout *l)
{
	uint32_t code = 0xfffd;
	size_t len = utf8_next(l->at, &code);
	char escape[JSON_ESCAPE_SIZE];

	if (len && !utf8_is_control(code))
		put(l, l->at, len);
	else
		put_text(l, json_escape(code, escape));
	l->at += len ? len : 1;
}

static bool string(struct layout *l)
{
	if (!take(l, '"'))
		return false;
	put_text(l, "\"");
	while (*l->at && *l->at != '"') {
		if (*l->at == '\\')
			character(l);
		if (*l->at)
			character(l);
	}
	if (!take(l, '"'))
		return false;
	put_text(l, "\"");
	return true;
}

/* A number, true, false or null. */
static bool word(struct layout *l)
{
	size_t len = strspn(l->at, "+-.0123456789aeflnrstuE");

	put(l, l->at, len);
	l->at += len;
	return len != 0;
}

static enum place element_of(enum place list)
{
	return list == CONTEXTS	 ? CONTEXT
	       : list == FRAMES	 ? SHARED
	       : list == STACK	 ? FRAME
	       : list == MODULES ? MODULE
				 : OTHER;
}

static void begin_element(struct layout *l, enum place place)
{
	if (place == CONTEXT)
		next_line(l, "    ", DECODE_PLAIN);
	else if (place == SHARED)
		next_line(l, "    ", DECODE_SHARED);
	else if (place == FRAME)
		next_line(l, "      ", DECODE_FRAME);
	else if (place == MODULE)
		next_line(l, "    ", DECODE_MODULE);
}

/* A list; "[" has been read. */
static bool list(struct layout *l, enum place place)
{
	enum place inside = element_of(place);
	bool first = true;

	put_text(l, "[");
	if (inside == FRAME && !next_is(l, '{'))
		inside = OTHER; /* numbers of frames */
	while (!take(l, ']')) {
		if (!first && !take(l, ','))
			return false;
		if (!first)
			put_text(l, inside == OTHER && place != STACK ? ", " : ",");
		first = false;
		begin_element(l, inside);
		if (!value(l, inside))
			return false;
	}
	put_text(l, "]");
	return true;
}

/* Whether what is named at the text is a list of objects. */
static bool has_objects(const char *name)
{
	static const char blanks[] = " \t\r\n";

	name = strchr(name, ':');
	name = name ? name + 1 + strspn(name + 1, blanks) : "";
	return *name == '[' && name[1 + strspn(name + 1, blanks)] == '{';
}

static enum place list_of_report(const char *name)
{
	if (!strncmp(name, "\"contexts\"", 10) || !strncmp(name, "\"mapping_contexts\"", 18))
		return CONTEXTS;
	if (!strncmp(name, "\"frames\"", 8))
		return FRAMES;
	return !strncmp(name, "\"modules\"", 9) ? MODULES : OTHER;
}

/* The name's place, and its line, if it begins one. */
static enum place begin_member(struct layout *l, enum place place, const char *name)
{
	bool stack = place == CONTEXT && !strncmp(name, "\"stack\"", 7);

	if (place == REPORT)
		next_line(l, "  ", DECODE_PLAIN);
	else if ((stack && has_objects(name)) || (place == CONTEXT && l->kind == DECODE_FRAME))
		next_line(l, "     ", DECODE_PLAIN);
	if (place == REPORT)
		return list_of_report(name);
	return stack ? STACK : OTHER;
}

/* An object; "{" has been read. */
static bool object(struct layout *l, enum place place)
{
	bool first = true;

	put_text(l, "{");
	while (!take(l, '}')) {
		enum place inside;

		if (!first && !take(l, ','))
			return false;
		l->at += strspn(l->at, " \t\r\n");
		if (!first)
			put_text(l, ",");
		inside = begin_member(l, place, l->at);
		if (!first && l->line.len && l->line.at[l->line.len - 1] != ' ')
			put_text(l, " ");
		first = false;
		if (!string(l) || !take(l, ':'))
			return false;
		put_text(l, ": ");
		if (!value(l, inside))
			return false;
	}
	if (place == REPORT)
		next_line(l, "", DECODE_PLAIN);
	put_text(l, "}");
	if (place == FRAME || place == SHARED)
		l->end = l->line.len;
	return true;
}

static bool value(struct layout *l, enum place place)
{
	bool ok;

	if (l->depth == MAX_DEPTH)
		return false;
	l->depth++;
	if (take(l, '{'))
		ok = object(l, place);
	else if (take(l, '['))
		ok = list(l, place);
	else
		ok = *l->at == '"' ? string(l) : word(l);
	l->depth--;
	return ok;
}

int decode_layout(struct decode *decode, const char *text, struct err *err)
{
	struct layout l = {.decode = decode, .at = text};
	bool ok = value(&l, REPORT);

	if (ok)
		next_line(&l, "", DECODE_PLAIN);
	l.at += strspn(l.at, " \t\r\n");
	vec_deinit(&l.line);
	if (l.no_memory)
		return err_set(err, -ENOMEM, "no memory for the report");
	if (!ok || *l.at)
		return err_set(err, -EINVAL,
			       "this is no report of memtrace: no JSON at byte %zu",
			       (size_t)(l.at - text));
	return 0;
}
