/*
 * Frames in the JSON form: one object a line, which decode_layout.c sees to.  Of the lines
 * that make up one frame in version 1 only the last, the function itself, is kept.
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

static frame_t marks_of(const char *text)
{
	return (decode_is_true(text, "exact") ? FRAME_EXACT : 0) |
	       (decode_is_true(text, "guess") ? FRAME_GUESS : 0);
}

static void read_frame(struct decode *decode, struct decode_line *line)
{
	char *path = decode_string(decode_value(line->text, "module"));
	uint64_t pc = decode_address(line->text, "pc");
	uint64_t offset = decode_address(line->text, "offset");
	uint32_t instance = path ? instance_at(decode, path, pc - offset) : 0;

	line->kind = DECODE_PLAIN;
	free(path);
	if (!line->end || (path && !instance))
		return;
	if (decode_is_true(line->text, "inlined")) {
		line->kind = DECODE_DROPPED;
		return;
	}
	line->kind = DECODE_FRAME;
	line->frame = frame_of(instance, instance ? offset : pc) | marks_of(line->text);
	line->function = decode_string(decode_value(line->text, "function"));
}

/* One of version 2: its module is a number of the list, which is mapped at one place only. */
static bool read_shared(struct decode *decode, struct decode_line *line)
{
	char *own = decode_frame_alone(line->text, NULL);
	const char *module = own ? decode_value(own, "module") : NULL;
	bool nowhere = !module || *module < '0' || *module > '9';
	uint64_t instance = nowhere ? 0 : decode_number(own, "module") + 1;

	if (!own)
		return false;
	if (!line->end || instance > decode->modules.len) {
		line->kind = DECODE_PLAIN;
	} else {
		uint64_t pc = decode_address(own, "pc");
		uint64_t offset = decode_address(own, "offset");

		if (instance)
			decode->modules.at[instance - 1].bias = pc - offset;
		line->frame =
			frame_of((uint32_t)instance, instance ? offset : pc) | marks_of(own);
		line->function = decode_string(decode_value(own, "function"));
	}
	free(own);
	return true;
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
		else if (line->kind == DECODE_SHARED && !read_shared(decode, line))
			e = err_set(err, -ENOMEM, "no memory for the report");
	}
	return e;
}
