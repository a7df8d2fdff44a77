/* The inside of the store: what store_index.c finds and store.c searches. */
#ifndef MEMTRACE_STORE_PARTS_H
#define MEMTRACE_STORE_PARTS_H

#include <stdatomic.h>

#include "base/vec.h"
#include "serve/store.h"

enum { STORE_KEY = 20 };

struct store_file {
	char *path;		/* below its directory, "usr/lib/libx.so" */
	const char *name;	/* the last part of it */
	uint32_t dir;		/* index in roots */
	uint8_t build_id_len;	/* 0: none, and then: */
	uint8_t key[STORE_KEY]; /* the build-id's first bytes; else the hash of its segments */
};

struct store_root {
	const char *dir; /* as it was given */
	int fd;
};

VEC_TYPE(store_files, struct store_file);
VEC_TYPE(store_order, uint32_t); /* numbers of files, sorted */

struct store_index {
	struct store_files files;
	struct store_order by_key, by_name;
};

/* Walks one directory.  `seen` counts files; `stop` ends it early.  False: no memory, and
 * then the index has what was found until there. */
bool store_index_add(struct store_index *index, const struct store_root *root, uint32_t dir,
		     _Atomic uint64_t *seen, _Atomic bool *stop);
/* Sorts: to be called once, when all is added. */
bool store_index_finish(struct store_index *index);
void store_index_deinit(struct store_index *index);

/* The first of the files in order that have this key or name; *count of them. */
const uint32_t *store_index_key(const struct store_index *index, const uint8_t *key,
				uint8_t build_id_len, size_t *count);
const uint32_t *store_index_name(const struct store_index *index, const char *name,
				 size_t *count);

/* The key of a file without build-id. */
void store_index_segments(uint64_t hash, uint8_t key[STORE_KEY]);

#endif
