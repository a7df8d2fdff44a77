/*
 * Tables by open addressing, at most half full, over memory that is handed out from
 * chunks and freed at once.  Nothing is ever taken out, so pointers stay valid.
 */
#include "symbols/cache.h"

#include <stdlib.h>
#include <string.h>

#include "symbols/wire.h"

enum { CHUNK_BYTES = 64 << 10, FIRST_SLOTS = 64 };

struct cache_chunk {
	struct cache_chunk *next;
	size_t len;
	_Alignas(16) uint8_t bytes[];
};

void *cache_bytes(struct cache *cache, size_t len)
{
	struct cache_chunk *chunk = cache->chunks;
	size_t size;

	len = (len + 15) & ~(size_t)15;
	if (!chunk || len > cache->chunk_left) {
		size = len > CHUNK_BYTES ? len : CHUNK_BYTES;
		chunk = malloc(sizeof(*chunk) + size);
		if (!chunk)
			return NULL;
		*chunk = (struct cache_chunk){cache->chunks, size};
		cache->chunks = chunk;
		cache->chunk_left = size;
		cache->bytes += size;
	}
	cache->chunk_left -= len;
	return chunk->bytes + chunk->len - cache->chunk_left - len;
}

void cache_deinit(struct cache *cache)
{
	for (size_t i = 0; i < cache->modules.len; i++)
		if (cache->modules.at[i]) {
			vec_deinit(&cache->modules.at[i]->slots);
			vec_deinit(&cache->modules.at[i]->waiting);
		}
	vec_deinit(&cache->modules);
	vec_deinit(&cache->texts);
	while (cache->chunks) {
		struct cache_chunk *next = cache->chunks->next;
		free(cache->chunks);
		cache->chunks = next;
	}
	*cache = (struct cache){};
}

static size_t text_hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return (size_t)(hash ^ hash >> 32);
}

static const char **text_slot(const struct cache *cache, const char *text)
{
	size_t mask = cache->texts.len - 1;
	size_t i = text_hash(text) & mask;

	while (cache->texts.at[i] && strcmp(cache->texts.at[i], text))
		i = (i + 1) & mask;
	return &cache->texts.at[i];
}

static bool texts_grow(struct cache *cache)
{
	struct cache bigger = {};
	size_t want = cache->texts.len ? 2 * cache->texts.len : FIRST_SLOTS;

	if (2 * (cache->text_count + 1) <= cache->texts.len)
		return true;
	if (!vec_reserve(&bigger.texts, want))
		return false;
	bigger.texts.len = want;
	memset(bigger.texts.at, 0, want * sizeof(*bigger.texts.at));
	for (size_t i = 0; i < cache->texts.len; i++)
		if (cache->texts.at[i])
			*text_slot(&bigger, cache->texts.at[i]) = cache->texts.at[i];
	free(cache->texts.at);
	cache->texts.at = bigger.texts.at;
	cache->texts.len = bigger.texts.len;
	cache->texts.cap = bigger.texts.cap;
	return true;
}

const char *cache_text(struct cache *cache, const char *text)
{
	size_t len = strlen(text) + 1;
	const char **slot;
	char *copy;

	if (!texts_grow(cache))
		return NULL;
	slot = text_slot(cache, text);
	if (*slot)
		return *slot;
	copy = cache_bytes(cache, len);
	if (!copy)
		return NULL;
	memcpy(copy, text, len);
	cache->text_count++;
	return *slot = copy;
}

struct cache_module *cache_module_find(const struct cache *cache, uint32_t instance)
{
	return instance < cache->modules.len ? cache->modules.at[instance] : NULL;
}

struct cache_module *cache_module(struct cache *cache, const struct resolver_module *id)
{
	struct cache_module *module = cache_module_find(cache, id->instance);

	if (module || id->instance >= WIRE_MAX_MODULES)
		return module;
	if (!vec_reserve(&cache->modules, (size_t)id->instance + 1))
		return NULL;
	while (cache->modules.len <= id->instance)
		cache->modules.at[cache->modules.len++] = NULL;
	module = cache_bytes(cache, sizeof(*module));
	if (!module)
		return NULL;
	*module = (struct cache_module){.id = *id};
	module->id.id.path = cache_text(cache, id->id.path);
	if (!module->id.id.path)
		return NULL;
	return cache->modules.at[id->instance] = module;
}

static struct cache_entry **entry_slot(const struct cache_module *module, uint64_t offset)
{
	size_t mask = module->slots.len - 1;
	size_t i = (size_t)(offset * 0x9e3779b97f4a7c15 >> 32) & mask;

	while (module->slots.at[i] && module->slots.at[i]->offset != offset)
		i = (i + 1) & mask;
	return &module->slots.at[i];
}

static bool entries_grow(struct cache_module *module)
{
	struct cache_module bigger = {};
	size_t want = module->slots.len ? 2 * module->slots.len : FIRST_SLOTS;

	if (2 * (module->entry_count + 1) <= module->slots.len)
		return true;
	if (!vec_reserve(&bigger.slots, want))
		return false;
	bigger.slots.len = want;
	memset(bigger.slots.at, 0, want * sizeof(*bigger.slots.at));
	for (size_t i = 0; i < module->slots.len; i++)
		if (module->slots.at[i])
			*entry_slot(&bigger, module->slots.at[i]->offset) = module->slots.at[i];
	vec_deinit(&module->slots);
	memcpy(&module->slots, &bigger.slots, sizeof(module->slots));
	return true;
}

struct cache_entry *cache_entry_find(const struct cache_module *module, uint64_t offset)
{
	return module->slots.len ? *entry_slot(module, offset) : NULL;
}

struct cache_entry *cache_entry(struct cache *cache, struct cache_module *module,
				uint64_t offset)
{
	struct cache_entry *entry = cache_entry_find(module, offset);

	if (entry)
		return entry;
	if (!entries_grow(module) || !vec_reserve(&module->waiting, module->waiting.len + 1))
		return NULL;
	entry = cache_bytes(cache, sizeof(*entry));
	if (!entry)
		return NULL;
	*entry = (struct cache_entry){.offset = offset};
	*entry_slot(module, offset) = entry;
	module->entry_count++;
	cache->entries++;
	module->waiting.at[module->waiting.len++] = entry;
	return entry;
}

void cache_ask_again(struct cache *cache)
{
	for (size_t i = 0; i < cache->modules.len; i++) {
		struct cache_module *module = cache->modules.at[i];

		if (!module)
			continue;
		module->asked = false;
		module->source = module->remark = NULL;
		for (size_t k = 0; k < module->slots.len; k++) {
			struct cache_entry *entry = module->slots.at[k];
			if (entry && entry->known && !entry->resolved.count &&
			    vec_push(&module->waiting, entry))
				entry->known = false;
		}
	}
}
