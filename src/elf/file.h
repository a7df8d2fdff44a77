/*
 * A file of the target's, open for reading: in our own process where its file system is local, and
 * else by a process apart (apart.h), so that no server that has died can hold us.
 */
#ifndef MEMTRACE_FILE_H
#define MEMTRACE_FILE_H

#include "elf/apart.h"
#include "elf/mounts.h"

/* One process apart for each file system that may not answer. */
struct files {
	VEC(struct files_apart {
		uint64_t dev;
		struct apart *apart;
	})
	apart;
	const atomic_bool *hurry; /* apart.h; NULL: none */
};

struct file {
	union {
		struct memory memory; /* address = offset */
		struct memory_file near;
		struct apart_file distant;
	};
	bool is_distant, open;
	struct stat stat;
};

void files_deinit(struct files *files); /* {0} before the first */

/*
 * Opens a regular file by a path of ours.  dev: what it is on, by the memory map; mounts and `as`:
 * the target's, and the path as the target sees it.
 * -ETIMEDOUT: its file system does not answer (and is not asked again); -EINVAL: it is no
 * regular file; or another -errno.  `files` must outlive it.
 */
int file_open(struct files *files, const struct mounts *mounts, uint64_t dev, const char *path,
	      const char *as, struct file **ret);
/* Closes it; reading fails from then on. */
void file_shut(struct file *file);
void file_destroy(struct file *file); /* NULL is allowed */

#endif
