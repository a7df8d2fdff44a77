/*
 * Whoever fills a directory, runs in a chroot, or writes a debug file chooses names that we
 * then open, with our rights and not his.  So one function opens all of them:
 *
 *    where                may hold anything, so
 *    a process' root      links lead nowhere out of it (root.c)
 *    a served directory   the same, and only what everybody may read, as it is for everybody
 *    this machine         as it is; who asks has kept ".." out of what is not the operator's
 *
 * and hands out nothing but regular files that begin like ELF files: no device, no FIFO is
 * touched, and no text, key or password file can be asked for, by whoever may have taken the
 * reader of debug information over.
 */
#include "serve/files.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "serve/file_index.h"
#include "serve/root.h"
#include "serve/search.h"

/* Opens path as the kernel finds it, but only a regular file. */
static int open_plain_at(int dir, const char *path)
{
	int fd = openat(dir, path, O_PATH | O_CLOEXEC), opened;

	if (fd < 0)
		return -errno;
	opened = root_reopen(fd, false);
	close(fd);
	return opened;
}

static int open_plain(const char *path)
{
	return open_plain_at(AT_FDCWD, path);
}

static int open_in_target(uint32_t pid, const char *path)
{
	char name[64];
	int root, fd;

	snprintf(name, sizeof(name), "/proc/%u/root", pid);
	root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	fd = root_open(root, path, false);
	close(root);
	return fd;
}

static int open_exe(uint32_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	return open_plain(path);
}

/* Opens what the process maps under exactly this name. */
static int open_named(DIR *maps, const char *name)
{
	char target[PATH_MAX + 16];
	struct dirent *entry;

	rewinddir(maps);
	while ((entry = readdir(maps))) {
		ssize_t n = readlinkat(dirfd(maps), entry->d_name, target, sizeof(target));
		if (n == (ssize_t)strlen(name) && !memcmp(target, name, (size_t)n))
			return open_plain_at(dirfd(maps), entry->d_name);
	}
	return -ENOENT;
}

static int open_mapped(uint32_t pid, const char *path)
{
	char name[PATH_MAX + 16];
	DIR *maps;
	int fd;

	snprintf(name, sizeof(name), "/proc/%u/map_files", pid);
	maps = opendir(name);
	if (!maps)
		return -errno;
	snprintf(name, sizeof(name), "%s (deleted)", path);
	fd = open_named(maps, name);
	if (fd == -ENOENT)
		fd = open_named(maps, path);
	closedir(maps);
	return fd;
}

static int open_any(const struct search_dirs *dirs, struct files_where where, const char *path)
{
	if (where.kind == FILES_SERVED)
		return dirs->index ? file_index_open(dirs->index, where.which, path) : -EPERM;
	if (dirs->index)
		return -EPERM;
	switch (where.kind) {
	case FILES_HOST:
		return open_plain(path);
	case FILES_TARGET:
		return open_in_target(where.which, path);
	case FILES_EXE:
		return open_exe(where.which);
	case FILES_MAPPED:
		return open_mapped(where.which, path);
	default:
		return -EPERM;
	}
}

int files_open_here(const struct search_dirs *dirs, struct files_where where, const char *path)
{
	int fd = open_any(dirs, where, path);
	char magic[SELFMAG];

	if (fd < 0)
		return fd;
	if (pread(fd, magic, sizeof(magic), 0) == SELFMAG && !memcmp(magic, ELFMAG, SELFMAG))
		return fd;
	close(fd);
	return -ENOEXEC;
}

int files_open(const struct search_dirs *dirs, struct files_where where, const char *path)
{
	return dirs->ask ? dirs->ask(dirs->ask_arg, where, path)
			 : files_open_here(dirs, where, path);
}
