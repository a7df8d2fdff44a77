/* A chunk is handed on as soon as it is full: none is ever left that has no place. */
#include "base/chunks.h"

#include <string.h>

void chunks_put(struct chunks *chunks, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len) {
		size_t n = chunks->size - chunks->used;

		n = len < n ? len : n;
		memcpy(chunks->at + chunks->used, at, n);
		chunks->used += n;
		at += n;
		len -= n;
		if (chunks->used == chunks->size)
			chunks->full(chunks->arg);
	}
}
