/* Open addressing by FNV-1a, a table at most half full. */
#include "report/export/texts.h"

#include <string.h>

static uint32_t hash(const char *bytes, size_t len)
{
	uint32_t value = 2166136261u;

	for (size_t i = 0; i < len; i++)
		value = (value ^ (uint8_t)bytes[i]) * 16777619u;
	return value;
}

/* The slot that has these bytes, or the free one where they belong. */
static uint32_t find(const struct texts *texts, const char *bytes, size_t len)
{
	uint32_t slot = hash(bytes, len) & texts->mask;

	while (texts->slots[slot]) {
		const struct text_at *at = &texts->at.at[texts->slots[slot] - 1];

		if (at->len == len && !memcmp(texts->bytes.at + at->begin, bytes, len))
			break;
		slot = (slot + 1) & texts->mask;
	}
	return slot;
}

static bool grow(struct texts *texts)
{
	uint32_t count = texts->mask ? 2 * (texts->mask + 1) : 64;
	uint32_t *slots = calloc(count, sizeof(*slots));

	if (!slots)
		return false;
	free(texts->slots);
	texts->slots = slots;
	texts->mask = count - 1;
	for (uint32_t i = 0; i < texts->at.len; i++) {
		size_t len;
		const char *bytes = texts_bytes(texts, i, &len);

		slots[find(texts, bytes, len)] = i + 1;
	}
	return true;
}

bool texts_add(struct texts *texts, const void *bytes, size_t len, uint32_t *ret)
{
	const struct text_at at = {texts->bytes.len, len};
	uint32_t slot;

	if (2 * texts->at.len >= texts->mask && !grow(texts))
		return false;
	slot = find(texts, bytes, len);
	if (!texts->slots[slot]) {
		/* (+ 1: an empty text has an address, too) */
		if (!vec_reserve(&texts->bytes, texts->bytes.len + len + 1) ||
		    !vec_push(&texts->at, at))
			return false;
		memcpy(texts->bytes.at + at.begin, bytes, len);
		texts->bytes.len += len;
		texts->slots[slot] = (uint32_t)texts->at.len;
	}
	*ret = texts->slots[slot] - 1;
	return true;
}

const char *texts_bytes(const struct texts *texts, uint32_t i, size_t *len)
{
	*len = texts->at.at[i].len;
	return texts->bytes.at + texts->at.at[i].begin;
}

void texts_deinit(struct texts *texts)
{
	vec_deinit(&texts->bytes);
	vec_deinit(&texts->at);
	free(texts->slots);
	texts->slots = NULL;
	texts->mask = 0;
}
