/*
 * Frames in the JSON form: one object a line, which decode_layout.c sees to.  Of the lines
 * that make up one frame only the last, the function itself, is kept.
 */
#include <errno.h>
#include <string.h>

#include "report/decode_parts.h"

/* Hex digits to bytes, at most max; returns how many. */
static size_t hex_bytes(const char *text, uint8_t *ret, size_t max)
{
	size_t len = 0;
	unsigned byte;

	while (len < max && strspn(text + 2 * len, "0123456789abcdef") >= 2 &&
	       sscanf(text + 2 * len, "%2x", &byte) == 1)
		ret[len++] = (uint8_t)byte;
	return len;
}

/* The module of this path (and bias, if known to differ); 0: there is none. */
static uint32_t module_find(const struct decode *decode, const char *path)
{
	for (size_t i = 0; i < decode->modules.len; i++)
		if (!strcmp(decode->modules.at[i].id.path, path))
			return (uint32_t)i + 1;
	return 0;
}

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

static uint64_t address_of(const char *value)
{
	return value && *value == '"' ? strtoull(value + 1, NULL, 16) : 0;
}

static bool is_true(const char *line, const char *member)
{
	const char *value = decode_value(line, member);

	return value && !strncmp(value, "true", 4);
}

static bool read_module(struct decode *decode, struct decode_line *line)
{
	struct snapshot_module module = {.mapped = true};
	char *build_id = decode_string(decode_value(line->text, "build_id"));
	char *fingerprint = decode_string(decode_value(line->text, "fingerprint"));
	char *debuglink = decode_string(decode_value(line->text, "debuglink"));
	const char *crc = decode_value(line->text, "debuglink_crc");
	bool ok;

	module.id.path = decode_string(decode_value(line->text, "path"));
	module.instance = line->instance = (uint32_t)decode->modules.len + 1;
	module.id.build_id_len = (uint8_t)hex_bytes(
		build_id ? build_id : "", module.id.build_id, sizeof(module.id.build_id));
	module.id.fingerprint_len =
		(uint8_t)hex_bytes(fingerprint ? fingerprint : "", module.id.fingerprint,
				    sizeof(module.id.fingerprint));
	if (debuglink)
		snprintf(module.id.debuglink, sizeof(module.id.debuglink), "%.63s", debuglink);
	module.id.debuglink_crc = crc ? (uint32_t)strtoul(crc, NULL, 10) : 0;
	free(build_id);
	free(fingerprint);
	free(debuglink);
	if (!module.id.path || decode->modules.len == DECODE_MAX_MODULES) {
		line->kind = DECODE_PLAIN; /* not ours, or one too many */
		module_id_deinit(&module.id);
		return true;
	}
	ok = vec_push(&decode->modules, module);
	if (!ok)
		module_id_deinit(&module.id);
	return ok;
}

/* The instance of a path at this bias: the same file may have been mapped twice. */
static uint32_t instance_at(struct decode *decode, const char *path, taddr_t bias)
{
	struct snapshot_module copy;
	uint32_t first = module_find(decode, path);

	if (!first)
		return 0;
	for (size_t i = first - 1; i < decode->modules.len; i++) {
		struct snapshot_module *module = &decode->modules.at[i];
		if (strcmp(module->id.path, path))
			continue;
		if (!module->begin) { /* not met before */
			module->begin = 1;
			module->bias = bias;
		}
		if (module->bias == bias)
			return module->instance;
	}
	if (decode->modules.len == DECODE_MAX_MODULES)
		return 0;
	copy = decode->modules.at[first - 1];
	copy.id.path = strdup(path);
	copy.bias = bias;
	copy.instance = (uint32_t)decode->modules.len + 1;
	if (copy.id.path && vec_push(&decode->modules, copy))
		return copy.instance;
	module_id_deinit(&copy.id);
	return 0;
}

static void read_frame(struct decode *decode, struct decode_line *line)
{
	char *path = decode_string(decode_value(line->text, "module"));
	uint64_t pc = address_of(decode_value(line->text, "pc"));
	uint64_t offset = address_of(decode_value(line->text, "offset"));
	uint32_t instance = path ? instance_at(decode, path, pc - offset) : 0;

	line->kind = DECODE_PLAIN;
	free(path);
	if (!line->end || (path && !instance))
		return;
	if (is_true(line->text, "inlined")) {
		line->kind = DECODE_DROPPED;
		return;
	}
	line->kind = DECODE_FRAME;
	line->frame = frame_of(instance, instance ? offset : pc) |
		      (is_true(line->text, "exact") ? FRAME_EXACT : 0) |
		      (is_true(line->text, "guess") ? FRAME_GUESS : 0);
	line->function = decode_string(decode_value(line->text, "function"));
}

int decode_json(struct decode *decode, const char *text, struct err *err)
{
	int e = decode_layout(decode, text, err);

	for (size_t i = 0; i < decode->lines.len && !e; i++) {
		struct decode_line *line = &decode->lines.at[i];
		sscanf(line->text, "  \"version\": %u", &decode->version);
		if (line->kind == DECODE_MODULE && !read_module(decode, line))
			e = err_set(err, -ENOMEM, "no memory for the report");
	}
	for (size_t i = 0; i < decode->lines.len && !e; i++) {
		struct decode_line *line = &decode->lines.at[i];
		if (line->kind == DECODE_FRAME)
			read_frame(decode, line);
	}
	return e;
}
