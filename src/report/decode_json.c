/*
 * Frames in the JSON form: one object a line, as json.c writes them (a report that went
 * through another program's formatting is not read).  Of the lines that make up one frame
 * only the last, the function itself, is kept.
 */
#include <string.h>

#include "report/decode_parts.h"

/* Where the value of a member begins in the line; NULL: there is none. */
static const char *value_of(const char *line, const char *member)
{
	char key[40];
	const char *at;

	snprintf(key, sizeof(key), "\"%s\": ", member);
	at = strstr(line, key);
	return at ? at + strlen(key) : NULL;
}

static size_t put_utf8(char *to, unsigned code)
{
	if (code < 0x80) {
		to[0] = (char)code;
		return 1;
	}
	to[0] = (char)(0xc0 | code >> 6);
	to[1] = (char)(0x80 | (code & 0x3f));
	return 2;
}

/* The string that a value is, malloc'ed; NULL: it is null, or no string. */
static char *string_of(const char *value)
{
	char *text, *to;
	unsigned code;

	if (!value || *value != '"')
		return NULL;
	to = text = malloc(strlen(value) + 1);
	for (value++; text && *value && *value != '"'; value++) {
		if (*value == '\\' && value[1] == 'u' && sscanf(value + 2, "%4x", &code) == 1 &&
		    code && code < 0x80 && strlen(value) > 6) {
			to += put_utf8(to, code);
			value += 5;
			continue;
		}
		value += *value == '\\' && value[1];
		*to++ = *value;
	}
	if (text)
		*to = '\0';
	return text;
}

static uint64_t address_of(const char *value)
{
	return value && *value == '"' ? strtoull(value + 1, NULL, 16) : 0;
}

static bool is_true(const char *line, const char *member)
{
	const char *value = value_of(line, member);

	return value && !strncmp(value, "true", 4);
}

static bool read_module(struct decode *decode, struct decode_line *line)
{
	struct snapshot_module module = {.mapped = true};
	char *build_id = string_of(value_of(line->text, "build_id"));
	char *fingerprint = string_of(value_of(line->text, "fingerprint"));
	char *debuglink = string_of(value_of(line->text, "debuglink"));
	const char *crc = value_of(line->text, "debuglink_crc");
	bool ok;

	module.path = string_of(value_of(line->text, "path"));
	module.instance = line->instance = (uint32_t)decode->modules.len + 1;
	module.build_id_len = (uint8_t)decode_hex(build_id ? build_id : "", module.build_id,
						  sizeof(module.build_id));
	module.fingerprint_len = (uint8_t)decode_hex(
		fingerprint ? fingerprint : "", module.fingerprint, sizeof(module.fingerprint));
	if (debuglink)
		snprintf(module.debuglink, sizeof(module.debuglink), "%.63s", debuglink);
	module.debuglink_crc = crc ? (uint32_t)strtoul(crc, NULL, 10) : 0;
	free(build_id);
	free(fingerprint);
	free(debuglink);
	ok = module.path && vec_push(&decode->modules, module);
	if (ok)
		line->kind = DECODE_MODULE;
	else
		free(module.path);
	return ok || !module.path; /* without a path: a line that is not ours */
}

/* The instance of a path at this bias: the same file may have been mapped twice. */
static uint32_t instance_at(struct decode *decode, const char *path, taddr_t bias)
{
	struct snapshot_module copy;
	uint32_t first = decode_module_find(decode, path);

	if (!first)
		return 0;
	for (size_t i = first - 1; i < decode->modules.len; i++) {
		struct snapshot_module *module = &decode->modules.at[i];
		if (strcmp(module->path, path))
			continue;
		if (!module->begin) { /* not met before */
			module->begin = 1;
			module->bias = bias;
		}
		if (module->bias == bias)
			return module->instance;
	}
	copy = decode->modules.at[first - 1];
	copy.path = strdup(path);
	copy.bias = bias;
	copy.instance = (uint32_t)decode->modules.len + 1;
	if (copy.path && vec_push(&decode->modules, copy))
		return copy.instance;
	free(copy.path);
	return 0;
}

static void read_frame(struct decode *decode, struct decode_line *line)
{
	char *path = string_of(value_of(line->text, "module"));
	uint64_t pc = address_of(value_of(line->text, "pc"));
	uint64_t offset = address_of(value_of(line->text, "offset"));
	uint32_t instance = path ? instance_at(decode, path, pc - offset) : 0;
	const char *end = strrchr(line->text, '}');

	free(path);
	if (!end || (path && !instance))
		return;
	if (is_true(line->text, "inlined")) {
		line->kind = DECODE_DROPPED;
		return;
	}
	line->kind = DECODE_FRAME;
	line->end = (size_t)(end + 1 - line->text);
	line->frame = frame_of(instance, instance ? offset : pc) |
		      (is_true(line->text, "exact") ? FRAME_EXACT : 0) |
		      (is_true(line->text, "guess") ? FRAME_GUESS : 0);
	line->function = string_of(value_of(line->text, "function"));
}

bool decode_json(struct decode *decode)
{
	static const char frame[] = "      {\"pc\": ", module[] = "    {\"path\": ";

	for (size_t i = 0; i < decode->lines.len; i++) {
		struct decode_line *line = &decode->lines.at[i];
		if (!strncmp(line->text, module, sizeof(module) - 1) &&
		    !read_module(decode, line))
			return false;
	}
	for (size_t i = 0; i < decode->lines.len; i++) {
		struct decode_line *line = &decode->lines.at[i];
		if (!strncmp(line->text, frame, sizeof(frame) - 1))
			read_frame(decode, line);
	}
	return true;
}
