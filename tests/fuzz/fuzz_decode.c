/*
 * A report that was written elsewhere, and what became of it on the way.
 *
 * What is held: whatever the lines are, each frame names a module that there is.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "report/decode_parts.h"

/* As values: every stack ends, every number is of something that is there. */
static void check_values(struct decode *decode)
{
	struct decoded decoded;
	frame_t frames[64];
	enum walk_end end;

	if (decode_values(decode, &decoded, NULL))
		return;
	for (uint32_t i = 0; i < decoded.snapshot->context_count; i++) {
		const struct region_context *c = &decoded.snapshot->contexts[i];
		size_t count = snapshot_stack(decoded.snapshot, i, frames, 64, &end);

		assert(c->frees <= c->allocs && c->freed_bytes <= c->allocated_bytes);
		for (size_t k = 0; k < count; k++)
			assert(frame_names_find(&decoded.names, frames[k]));
	}
	for (size_t i = 0; i < decoded.names.frame_count; i++) {
		const struct named_frame *named = &decoded.names.frames[i];

		assert(named->count && named->count <= decoded.names.line_count &&
		       named->first <= decoded.names.line_count - named->count);
		assert(frame_instance(named->frame) <= decoded.snapshot->module_count);
	}
	decoded_deinit(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decode decode = {};
	struct err err;
	char *text = malloc(size + 1);
	int broken;

	for (size_t i = 0; i < size; i++) /* a line with a NUL has been refused before */
		text[i] = data[i] ? (char)data[i] : ' ';
	text[size] = '\0';
	broken = decode_json(&decode, text, &err);
	free(text);
	for (size_t i = 0; i < decode.lines.len; i++) {
		const struct decode_line *line = &decode.lines.at[i];

		assert(line->kind != DECODE_FRAME ||
		       frame_instance(line->frame) <= decode.modules.len);
		assert(line->end <= strlen(line->text));
	}
	if (!broken)
		check_values(&decode);
	for (size_t i = 0; i < decode.lines.len; i++) {
		free(decode.lines.at[i].text);
		free(decode.lines.at[i].function);
	}
	for (size_t i = 0; i < decode.modules.len; i++)
		module_id_deinit(&decode.modules.at[i].id);
	vec_deinit(&decode.lines);
	vec_deinit(&decode.modules);
	return 0;
}
