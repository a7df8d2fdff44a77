/* The values of a report, whose they are. */
#include <stdlib.h>

#include "report/decode_parts.h"

const char *decoded_keep(struct decoded *decoded, char *text, bool *no_memory)
{
	if (!text || vec_push(&decoded->texts, text))
		return text;
	*no_memory = true;
	free(text);
	return NULL;
}

void decoded_deinit(struct decoded *decoded)
{
	snapshot_destroy(decoded->snapshot);
	free(decoded->names.frames);
	free(decoded->names.lines);
	free(decoded->names.sources);
	for (size_t i = 0; i < decoded->texts.len; i++)
		free(decoded->texts.at[i]);
	vec_deinit(&decoded->texts);
	*decoded = (struct decoded){0};
}
