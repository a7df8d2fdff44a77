/* The inside of the index: which files there are (indexer.c), found by key and by name. */
#ifndef MEMTRACE_FILE_TABLE_H
#define MEMTRACE_FILE_TABLE_H

#include "base/vec.h"
#include "serve/file_index.h"

enum { FILE_KEY = 20 };

struct indexed_file {
	char *path;	       /* below its directory, "usr/lib/libx.so" */
	const char *name;      /* the last part of it */
	uint32_t dir;	       /* index in roots */
	uint8_t build_id_len;  /* 0: none, and then: */
	uint8_t key[FILE_KEY]; /* the build-id's first bytes; else the hash of its segments */
};

struct served_dir {
	const char *dir; /* as it was given */
	int fd;
};

VEC_TYPE(indexed_files, struct indexed_file);
VEC_TYPE(file_order, uint32_t); /* numbers of files, sorted */

struct file_table {
	struct indexed_files files;
	struct file_order by_key, by_name;
};

/* Sorts: to be called once, when all is added. */
bool file_table_finish(struct file_table *table);
void file_table_deinit(struct file_table *table);

/* The first of the files in order that have this key or name; *count of them. */
const uint32_t *file_table_key(const struct file_table *table, const uint8_t *key,
			       uint8_t build_id_len, size_t *count);
const uint32_t *file_table_name(const struct file_table *table, const char *name,
				size_t *count);

/* The key of a file without build-id. */
void file_table_segments(uint64_t hash, uint8_t key[FILE_KEY]);

#endif
