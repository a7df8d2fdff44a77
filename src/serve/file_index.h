/*
 * The staging directories: which files there are, found by build-id, by path and by name.
 *
 *     INDEXING (a process of its own reads all directories once) --> READY
 *
 * Nothing outside the directories is ever opened; nothing is written.
 */
#ifndef MEMTRACE_FILE_INDEX_H
#define MEMTRACE_FILE_INDEX_H

#include "serve/search.h"

struct file_index;

/* Opens the directories (NULL-terminated), but for those whose file systems do not answer, and
 * begins to index them.  `public`: only what
 * everybody may read in them is served.  -ENOTDIR and others, naming the one that can't be
 * had. */
int file_index_create(const char *const *dirs, bool public, struct file_index **ret,
		      struct err *err) MUST_CHECK;
/* Also while indexing.  NULL is allowed. */
void file_index_destroy(struct file_index *index);

/* Goes on, as indexer_step(); *silent is the caller's.  True: READY. */
bool file_index_step(struct file_index *index, char **silent);
/* Readable when there is something to do for file_index_step(); -1: it is done. */
int file_index_fd(const struct file_index *index);
bool file_index_is_ready(const struct file_index *index);
/* How many files have been looked at. */
uint64_t file_index_seen(const struct file_index *index);

/* In a child: closes all descriptors but fd and those of the directories.  index may be NULL.
 */
void file_index_keep_only(const struct file_index *index, int fd);

/* How many ELF files were found.  READY only, as all that follows. */
size_t file_index_count(const struct file_index *index);

/*
 * The files of a module: *main has its code, *debug its DWARF; one file that has both is
 * *debug alone; NULL: there is none.  Each is the same build as the target's.  `why` says
 * what was found and is not, or has code 0.
 */
void file_index_find(const struct search_dirs *dirs, const struct search_for *who,
		     struct elffile **main, struct elffile **debug, struct err *why);

/* The program of this build-id, or (`debug`) what has its debug information.  -ENOENT. */
int file_index_find_build_id(const struct search_dirs *dirs, const uint8_t *build_id,
			     size_t len, bool debug, struct elffile **ret, struct err *err) MUST_CHECK;

/* How many directories there are. */
uint32_t file_index_dirs(const struct file_index *index);
/* Opens a file below the directory of this number: root_open(). */
int file_index_open(struct file_index *index, uint32_t dir, const char *path);

/* A file by the path that a compiler wrote down: below each directory, leading directories
 * left out one by one.  A descriptor of a regular file, or -errno. */
int file_index_open_path(struct file_index *index, const char *path);

#endif
