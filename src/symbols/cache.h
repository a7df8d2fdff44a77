/*
 * What the resolver knows: per module, offset -> frames; every text once.  Grows only;
 * what it handed out stays valid until cache_deinit().
 */
#ifndef MEMTRACE_CACHE_H
#define MEMTRACE_CACHE_H

#include "base/vec.h"
#include "symbols/resolver.h"

struct cache_chunk;

struct cache_entry {
	uint64_t offset;
	bool known; /* resolved is the answer; until then the question is under way */
	struct resolved resolved;
};

struct cache_module {
	struct resolver_module id; /* its path is in the cache's memory */
	bool asked;		   /* the server has been told of it */
	const char *source;	   /* see resolver_source(); NULL: no answer yet */
	const char *remark;
	VEC(struct cache_entry *) slots; /* by hash of the offset; power of two */
	size_t entry_count;
	VEC(struct cache_entry *) waiting; /* not yet asked about */
};

struct cache {
	VEC(struct cache_module *) modules; /* by instance; NULL: unknown */
	VEC(const char *) texts;	    /* by hash; power of two */
	size_t text_count;
	struct cache_chunk *chunks;
	size_t chunk_left;
	uint64_t bytes;	  /* of all chunks */
	uint64_t entries; /* of all modules */
};

void cache_deinit(struct cache *cache);

/* NULL: not there. */
struct cache_module *cache_module_find(const struct cache *cache, uint32_t instance);
/* Finds or makes it; NULL: no memory, or an instance beyond WIRE_MAX_MODULES. */
struct cache_module *cache_module(struct cache *cache, const struct resolver_module *module);

struct cache_entry *cache_entry_find(const struct cache_module *module, uint64_t offset);
/* Finds or makes it; a new one is put on module->waiting.  NULL: no memory. */
struct cache_entry *cache_entry(struct cache *cache, struct cache_module *module,
				uint64_t offset);

/* Another server: all modules are to be introduced, and what the last one did not know is
 * to be asked again. */
void cache_ask_again(struct cache *cache);

/* The one copy of a text; NULL only without memory. */
const char *cache_text(struct cache *cache, const char *text);

/* len bytes, aligned, that live as long as the cache; NULL: no memory. */
void *cache_bytes(struct cache *cache, size_t len);

#endif
