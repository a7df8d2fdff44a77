/* The modules that are open, shared by all connections: each file's data once. */
#ifndef MEMTRACE_MODULE_CACHE_H
#define MEMTRACE_MODULE_CACHE_H

#include "base/vec.h"
#include "serve/debuginfo.h"

struct module_cache_place {
	struct debuginfo *info;
	unsigned users;
	uint64_t used; /* when, in takes */
};

struct module_cache {
	VEC(struct module_cache_place) places;
	uint64_t takes;
	unsigned files; /* that all of them hold open */
};

/* The module, opened if it isn't there yet; to be put back.  -ENOMEM, -EMFILE: nothing was
 * looked for, as too many modules or files are open. */
int module_cache_take(struct module_cache *cache, const struct search_for *who,
		      const struct debuginfo_options *options, struct debuginfo **ret,
		      struct err *err) MUST_CHECK;
void module_cache_put(struct module_cache *cache, struct debuginfo *info); /* NULL is allowed */
void module_cache_deinit(struct module_cache *cache);

#endif
