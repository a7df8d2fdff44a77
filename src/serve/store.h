/*
 * The staging directories: which files there are, found by build-id, by path and by name.
 *
 *     INDEXING (a thread of its own reads all directories once) --> READY
 *
 * Nothing outside the directories is ever opened; nothing is written.
 */
#ifndef MEMTRACE_STORE_H
#define MEMTRACE_STORE_H

#include "serve/search.h"

struct store;

/* Opens the directories (NULL-terminated) and begins to index them.  `public`: only what
 * everybody may read in them is served.  -ENOTDIR and others, naming the one that can't be
 * had. */
int store_create(const char *const *dirs, bool public, struct store **ret, struct err *err);
/* Also while indexing.  NULL is allowed. */
void store_destroy(struct store *store);

/* Whether indexing is done; `files` (may be NULL): how many have been looked at. */
bool store_is_ready(struct store *store, uint64_t *files);
/* Readable once it is. */
int store_fd(const struct store *store);
/* How many ELF files were found.  READY only, as all that follows. */
size_t store_count(const struct store *store);

/*
 * The files of a module: *main has its code, *debug its DWARF; one file that has both is
 * *debug alone; NULL: there is none.  Each is the same build as the target's.  `why` says
 * what was found and is not, or has code 0.
 */
void store_find(const struct search_dirs *dirs, const struct search_for *who,
		struct elffile **main, struct elffile **debug, struct err *why);

/* The program of this build-id, or (`debug`) what has its debug information.  -ENOENT. */
int store_find_build_id(const struct search_dirs *dirs, const uint8_t *build_id, size_t len,
			bool debug, struct elffile **ret, struct err *err);

/* How many directories there are. */
uint32_t store_dirs(const struct store *store);
/* Opens a file below the directory of this number: root_open(). */
int store_open(struct store *store, uint32_t dir, const char *path);

/* A file by the path that a compiler wrote down: below each directory, leading directories
 * left out one by one.  A descriptor of a regular file, or -errno. */
int store_open_path(struct store *store, const char *path);

#endif
