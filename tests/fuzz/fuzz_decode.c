/*
 * A report that was written elsewhere, and what became of it on the way.
 *
 * What is held: whatever the lines are, each frame names a module that there is.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "report/decode_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decode decode = {};
	struct err err;
	char *text = malloc(size + 1);

	for (size_t i = 0; i < size; i++) /* a line with a NUL has been refused before */
		text[i] = data[i] ? (char)data[i] : ' ';
	text[size] = '\0';
	decode_json(&decode, text, &err);
	free(text);
	for (size_t i = 0; i < decode.lines.len; i++) {
		struct decode_line *line = &decode.lines.at[i];

		assert(line->kind != DECODE_FRAME ||
		       frame_instance(line->frame) <= decode.modules.len);
		assert(line->end <= strlen(line->text));
		free(line->text);
		free(line->function);
	}
	for (size_t i = 0; i < decode.modules.len; i++)
		module_id_deinit(&decode.modules.at[i].id);
	vec_deinit(&decode.lines);
	vec_deinit(&decode.modules);
	return 0;
}
