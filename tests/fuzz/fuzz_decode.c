/*
 * A report that was written elsewhere, and what became of it on the way: text or JSON.
 *
 * What is held: whatever the lines are, each frame names a module that there is.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "report/decode_parts.h"

/* Cuts the bytes into lines, as decode.c does. */
static void fill(struct decode *decode, const char *text, size_t size)
{
	const char *end = text + size;

	while (text < end) {
		size_t len = strcspn(text, "\n");
		struct decode_line line = {.text = strndup(text, len)};

		assert(line.text && vec_push(&decode->lines, line));
		text += len + 1;
	}
}

static void check(const uint8_t *data, size_t size, bool json)
{
	struct decode decode = {};
	struct err err;
	char *text = malloc(size + 1);

	for (size_t i = 0; i < size; i++) /* a line with a NUL has been refused before */
		text[i] = data[i] ? (char)data[i] : ' ';
	text[size] = '\0';
	if (json)
		decode_json(&decode, text, &err);
	else
		fill(&decode, text, size);
	free(text);
	assert(json || decode_text(&decode));
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(data, size, false);
	check(data, size, true);
	return 0;
}
