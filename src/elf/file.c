/*
 * Two ways to one interface; which is taken is decided by the mounts alone.
 *
 *    near      open, with a descriptor --- others need it ---> open, without one
 *                      ^                                              |
 *                      +------ read: the same by its stat() ----------+
 */
#include "elf/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/scope.h"

void files_deinit(struct files *files)
{
	for (size_t i = 0; i < files->apart.len; i++) {
		apart_deinit(files->apart.at[i].apart);
		free(files->apart.at[i].apart);
	}
	vec_deinit(&files->apart);
}

static struct apart *apart_of(struct files *files, uint64_t dev)
{
	struct files_apart new = {.dev = dev};

	for (size_t i = 0; i < files->apart.len; i++)
		if (files->apart.at[i].dev == dev)
			return files->apart.at[i].apart;
	new.apart = malloc(sizeof(*new.apart));
	if (!new.apart || !vec_push(&files->apart, new)) {
		free(new.apart);
		return NULL;
	}
	apart_init(new.apart, APART_LIMIT_MS, files->hurry);
	return new.apart;
}

/* ---- near ---------------------------------------------------------------- */

static void near_park(struct files *files, unsigned i)
{
	struct file *file = files->near[i];

	files->near[i] = NULL;
	if (!file)
		return;
	close(file->near.fd);
	file->near.fd = -1;
}

static void near_note(struct files *files, struct file *file)
{
	near_park(files, files->next);
	files->near[files->next] = file;
	files->next = (files->next + 1) % FILES_NEAR;
}

/* Descriptors are short: those of others that have one go. */
static int open_whatever(struct files *files, const char *path, int flags)
{
	int fd;

	flags |= O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	fd = open(path, flags);

	if (fd >= 0 || errno != EMFILE)
		return fd;
	for (unsigned i = 0; i < FILES_NEAR; i++)
		near_park(files, i);
	return open(path, flags);
}

/* A descriptor of a regular file; -errno. */
static int near_descriptor(struct files *files, const char *path, int flags, struct stat *stat)
{
	int fd = open_whatever(files, path, flags), rc;

	if (fd < 0)
		return -errno;
	rc = fstat(fd, stat) < 0 ? -errno : S_ISREG(stat->st_mode) ? 0 : -EINVAL;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Its mapping may have been split, and the kernel's link to it has another name then. */
static int descriptor_again(struct file *file, struct stat *now)
{
	int fd = near_descriptor(file->files, file->path, file->flags, now);
	scope_free char *by_name = NULL;

	if (fd != -ENOENT || asprintf(&by_name, "/proc/%d/root%s", file->pid, file->as) < 0)
		return fd;
	return near_descriptor(file->files, by_name, file->flags, now);
}

static int near_again(struct file *file)
{
	const struct stat *then = &file->stat;
	struct stat now;
	int fd = descriptor_again(file, &now);

	if (fd < 0)
		return fd;
	if (now.st_dev != then->st_dev || now.st_ino != then->st_ino ||
	    now.st_size != then->st_size || !same_time(&now.st_mtim, &then->st_mtim) ||
	    !same_time(&now.st_ctim, &then->st_ctim)) {
		close(fd);
		return -ESTALE;
	}
	file->near.fd = fd;
	near_note(file->files, file);
	return 0;
}

static int near_read(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct file *file = (struct file *)memory;
	struct memory_file plain;
	int rc = !file->open ? -EBADF : file->near.fd < 0 ? near_again(file) : 0;

	if (rc)
		return rc;
	memory_file_init(&plain, file->near.fd);
	return memory_read(&plain.memory, addr, buf, len);
}

static int open_near(struct files *files, const struct file_name *name, struct file *file)
{
	int fd = near_descriptor(files, name->path, file->flags, &file->stat);

	if (fd < 0)
		return fd;
	file->pid = name->pid;
	file->path = strdup(name->path);
	file->as = strdup(name->as);
	if (!file->path || !file->as) {
		close(fd);
		return -ENOMEM;
	}
	file->near.memory.read = near_read;
	file->near.fd = fd;
	near_note(files, file);
	return 0;
}

/* ---- both ------------------------------------------------------------------ */

static int open_distant(struct files *files, uint64_t dev, const char *path, struct file *file)
{
	struct apart *apart = apart_of(files, dev);
	int handle = apart ? apart_open(apart, path, file->flags, &file->stat) : -ENOMEM;

	file->is_distant = true;
	if (handle >= 0)
		apart_file_init(&file->distant, apart, handle);
	return handle < 0 ? handle : 0;
}

static void file_free(struct file *file)
{
	free(file->path);
	free(file->as);
	free(file);
}

int file_open(struct files *files, const struct mounts *mounts, const struct file_name *name,
	      struct file **ret)
{
	struct file *file = calloc(1, sizeof(*file));
	int rc;

	if (!file)
		return -ENOMEM;
	file->flags = name->no_link ? O_NOFOLLOW : 0;
	rc = mounts_are_local(mounts, name->dev, name->as)
		     ? open_near(files, name, file)
		     : open_distant(files, name->dev, name->path, file);
	if (rc) {
		file_free(file);
		return rc;
	}
	file->files = files;
	file->open = true;
	*ret = file;
	return 0;
}

void file_shut(struct file *file)
{
	if (!file->open)
		return;
	file->open = false;
	if (file->is_distant) {
		apart_close(file->distant.apart, file->distant.handle);
		file->distant.handle = -1;
		return;
	}
	for (unsigned i = 0; i < FILES_NEAR; i++)
		if (file->files->near[i] == file)
			near_park(file->files, i);
}

bool file_is_same(struct file *file)
{
	return file->open && (file->is_distant || file->near.fd >= 0 || !near_again(file));
}

void file_destroy(struct file *file)
{
	if (!file)
		return;
	file_shut(file);
	file_free(file);
}
