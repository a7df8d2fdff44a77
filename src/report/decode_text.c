/*
 * Frames in the text form, as frames.c writes them when they are to be decoded:
 *
 *     /usr/bin/prog+0x1234 [8a3f..] (exact)
 *     malloc() in /lib/libc.so.6+0x98930 (exact)
 *     /usr/lib/libold.so+0x77 [77ab..] (unloaded) (guessed)
 *     0x7f0012345678 (in no module)
 *
 * and the section that says who the modules are.  Read from the end of the line: a path
 * may hold anything but a newline.
 */
#include <inttypes.h>
#include <string.h>

#include "report/decode_parts.h"

/* Cuts `tail` off the end of text; false: it does not end so. */
static bool cut(char *text, const char *tail)
{
	size_t len = strlen(text), n = strlen(tail);

	if (len < n || strcmp(text + len - n, tail))
		return false;
	text[len - n] = '\0';
	return true;
}

/* "module [build-id ...]" lines come in pairs: the path, then who it is. */
static bool read_module(struct decode *decode, const char *path, const char *identity)
{
	struct snapshot_module module = {.mapped = true};
	char *copy;
	const char *at;

	if (decode->modules.len == DECODE_MAX_MODULES)
		return true;
	copy = strdup(path);
	if (!copy)
		return false;
	module.mapped = !cut(copy, " (unloaded)");
	module.id.path = copy;
	module.instance = (uint32_t)decode->modules.len + 1;
	if ((at = strstr(identity, " build-id ")))
		module.id.build_id_len = (uint8_t)decode_hex(at + 10, module.id.build_id,
							     sizeof(module.id.build_id));
	if ((at = strstr(identity, " fingerprint ")))
		module.id.fingerprint_len = (uint8_t)decode_hex(at + 13, module.id.fingerprint,
								sizeof(module.id.fingerprint));
	if ((at = strstr(identity, " debuglink ")))
		sscanf(at, " debuglink %" SCNx32 " %63s", &module.id.debuglink_crc,
		       module.id.debuglink);
	if (vec_push(&decode->modules, module))
		return true;
	free(copy);
	return false;
}

/* The section, and the empty line before it, is not copied. */
static bool read_modules(struct decode *decode)
{
	size_t begin = 0, i;

	for (i = 0; i < decode->lines.len; i++)
		if (sscanf(decode->lines.at[i].text, DECODE_SECTION "%u", &decode->version) ==
		    1)
			begin = i;
	if (!begin)
		return true;
	for (i = begin + 2;
	     i + 1 < decode->lines.len && strchr("/[", decode->lines.at[i].text[0]) &&
	     decode->lines.at[i].text[0];
	     i += 2)
		if (!read_module(decode, decode->lines.at[i].text,
				 decode->lines.at[i + 1].text))
			return false;
	/* It may have been cut behind its title, which i is two lines after. */
	for (size_t k = begin - 1; k < i && k < decode->lines.len; k++)
		decode->lines.at[k].kind = DECODE_DROPPED;
	return true;
}

/* What stands in front of "+0x1234" at the end of text, which is cut there. */
static bool read_offset(char *text, uint64_t *ret)
{
	char *plus = strrchr(text, '+'), *end;

	if (!plus || strncmp(plus, "+0x", 3))
		return false;
	*ret = strtoull(plus + 3, &end, 16);
	if (end == plus + 3 || *end)
		return false;
	*plus = '\0';
	return true;
}

/* Fills the line in when its text (a copy, used up) is a frame. */
static void read_frame(const struct decode *decode, struct decode_line *line, char *text)
{
	bool guess = cut(text, " (guessed)");
	bool unloaded = cut(text, " (unloaded)");
	bool exact = cut(text, " (exact)");
	char *id = strrchr(text, '['), *path = text, *in;
	uint64_t offset;
	uint32_t instance = 0;

	(void)unloaded;
	if (cut(text, " (in no module)") && !strncmp(text, "0x", 2)) {
		offset = strtoull(text, NULL, 16);
	} else {
		if (id && id > text && id[-1] == ' ' && cut(text, "]"))
			id[-1] = '\0';
		if (!read_offset(text, &offset))
			return;
		in = strstr(text, "() in /");
		if (!in)
			in = strstr(text, ") in /");
		if (in) {
			path = strchr(in, '/');
			*strstr(in, " in /") = '\0';
			cut(text, "()");
		}
		instance = decode_module_find(decode, path);
		if (!instance)
			return;
		line->function = in ? strdup(text) : NULL;
	}
	line->kind = DECODE_FRAME;
	line->frame = frame_of(instance, offset) | (exact ? FRAME_EXACT : 0) |
		      (guess ? FRAME_GUESS : 0);
}

/* "1. #7  ...", or "#7  ..." where only one was asked for, or of version 1. */
static bool begins_stack(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return text[0] == '#' || (digits && !strncmp(text + digits, ". #", 3));
}

bool decode_text(struct decode *decode)
{
	bool in_stack = false;

	if (!read_modules(decode))
		return false;
	for (size_t i = 0; i < decode->lines.len; i++) {
		struct decode_line *line = &decode->lines.at[i];
		char *text;

		if (begins_stack(line->text))
			in_stack = true;
		else if (line->text[0] != ' ')
			in_stack = false;
		if (!in_stack || strncmp(line->text, "    ", 4) || line->kind != DECODE_PLAIN)
			continue;
		text = strdup(line->text + 4);
		if (!text)
			return false;
		read_frame(decode, line, text);
		free(text);
	}
	return true;
}
