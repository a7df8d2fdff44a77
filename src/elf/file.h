/*
 * A file of the target's, open for reading: in our own process where its file system is local, and
 * else by a process apart (apart.h), so that no server that has died can hold us.
 */
#ifndef MEMTRACE_FILE_H
#define MEMTRACE_FILE_H

#include "elf/apart.h"
#include "elf/mounts.h"

/*
 * Those of one user.  A process apart for each file system that may not answer; and of the others
 * only the FILES_NEAR last opened have a descriptor, as a process may map more files than we may
 * have open: what is read again is opened again, if it is the same still.
 */
enum { FILES_NEAR = 48 };

struct files {
	struct file *near[FILES_NEAR]; /* or NULL */
	unsigned next;		       /* to make room */
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
	struct files *files; /* this and the following: of one that is near */
	int pid;
	int flags; /* O_NOFOLLOW, or 0 */
	char *path, *as;
};

/* A file of a process' to be opened. */
struct file_name {
	int pid;
	uint64_t dev;	  /* what it is on, by the memory map; 0: not known */
	const char *path; /* by which we open it */
	const char *as;	  /* as the process sees it */
	bool no_link;	  /* what it is may be anybody's choice: not opened where it is a link */
};

void files_deinit(struct files *files); /* {0} before the first */

/*
 * Opens a regular file.  mounts: the process'.  -ETIMEDOUT: its file system does not answer (and is
 * not asked again); -EINVAL: it is no regular file; or another -errno.  `files` must outlive it.
 */
int file_open(struct files *files, const struct mounts *mounts, const struct file_name *name,
	      struct file **ret);
/* Is it the file that was opened, whether or not it has a descriptor at present? */
bool file_is_same(struct file *file);
/* Closes it; reading fails from then on. */
void file_shut(struct file *file);
void file_destroy(struct file *file); /* NULL is allowed */

#endif
