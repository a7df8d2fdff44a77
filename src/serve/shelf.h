/* The modules that are open, shared by all connections: each file's data once. */
#ifndef MEMTRACE_SHELF_H
#define MEMTRACE_SHELF_H

#include "base/vec.h"
#include "serve/debuginfo.h"

struct shelf_place {
	struct debuginfo *info;
	unsigned users;
	uint64_t used; /* when, in takes */
};

struct shelf {
	VEC(struct shelf_place) places;
	uint64_t takes;
	unsigned files; /* that all of them hold open */
};

/* The module, opened if it isn't there yet; to be put back.  -ENOMEM, -EMFILE: nothing was
 * looked for, as too many modules or files are open. */
int shelf_take(struct shelf *shelf, const struct search_for *who,
	       const struct debuginfo_options *options, struct debuginfo **ret,
	       struct err *err);
void shelf_put(struct shelf *shelf, struct debuginfo *info); /* NULL is allowed */
void shelf_deinit(struct shelf *shelf);

#endif
