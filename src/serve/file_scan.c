/*
 * One pass over a directory.  A file whose name says that it is something else (.h, .py)
 * costs nothing; another one that does not begin like an ELF program, library or debug file
 * an open and a read of 20 bytes; of the others the build-id is read,
 * or the program headers where there is none.  Symbolic links are not followed: what they
 * lead to inside is met on its own, what is outside is not ours.
 *
 * Any of these calls may be the last one, where a file system does not answer: so it is written
 * down before each what is touched.
 */
#include "serve/file_scan.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "elf/fingerprint.h"

enum { MAX_DEPTH = 100 };

struct scanning {
	const struct file_scan *scan;
	char path[PATH_MAX]; /* of the directory that is read, "" or "usr/lib/" */
};

/* Files that are never modules, known by the ends of their names: on a cold disk opening
 * each of them is nearly all of the time that a pass takes. */
static bool is_something_else(const char *name)
{
	static const char *const endings[] = {
		".h",	".hh",	 ".hpp",  ".hxx",   ".inc",  ".c",    ".cc",   ".cpp", ".cxx",
		".S",	".s",	 ".o",	  ".a",	    ".la",   ".lo",   ".d",    ".pc",  ".py",
		".pyc", ".pyi",	 ".pl",	  ".pm",    ".rb",   ".js",   ".ts",   ".mjs", ".css",
		".htm", ".html", ".xml",  ".txt",   ".json", ".yaml", ".yml",  ".md",  ".rst",
		".po",	".mo",	 ".gz",	  ".xz",    ".bz2",  ".zst",  ".zip",  ".jar", ".tar",
		".png", ".svg",	 ".gif",  ".jpg",   ".ttf",  ".sh",   ".conf", ".m4",  ".cmake",
		".rs",	".go",	 ".rlib", ".rmeta", ".map",
	};
	const char *ending = strrchr(name, '.');

	for (size_t i = 0; ending && i < ARRAY_SIZE(endings); i++)
		if (!strcmp(ending, endings[i]))
			return true;
	return false;
}

/* A program or library, of either byte order. */
static bool is_module(int fd)
{
	uint8_t head[EI_NIDENT + 2];
	const uint8_t *type = head + EI_NIDENT;

	if (pread(fd, head, sizeof(head), 0) != sizeof(head) || memcmp(head, ELFMAG, SELFMAG))
		return false;
	switch (head[EI_DATA]) {
	case ELFDATA2LSB:
		return !type[1] && (type[0] == ET_EXEC || type[0] == ET_DYN);
	case ELFDATA2MSB:
		return !type[0] && (type[1] == ET_EXEC || type[1] == ET_DYN);
	default:
		return false;
	}
}

/* Before anything is touched that may not answer: where that is.  False: it has been silent
 * before. */
static bool may_touch(struct scanning *in, const char *name)
{
	const struct file_scan *scan = in->scan;
	struct scan_beat *beat = scan->beat;

	snprintf(beat->at, sizeof(beat->at), "%s%s", in->path, name);
	for (size_t i = 0; i < scan->skipped_count; i++)
		if (!strcmp(scan->skipped[i], beat->at))
			return false;
	atomic_fetch_add(&beat->steps, 1);
	return true;
}

static bool add_file(struct scanning *in, int fd, const char *name)
{
	struct indexed_file file = {};
	struct memory_file memory;
	struct image *image;
	const uint8_t *id;
	size_t len;
	bool ok;

	memory_file_init(&memory, fd);
	if (image_open(&memory.memory, &image, NULL))
		return true;
	id = image_build_id(image, &len);
	if (id && len <= ELFFILE_MAX_BUILD_ID) {
		file.build_id_len = (uint8_t)len;
		memcpy(file.key, id, len < FILE_KEY ? len : FILE_KEY);
	} else {
		file_table_segments(fingerprint_segments(image), file.key);
	}
	image_close(image);
	if (asprintf(&file.path, "%s%s", in->path, name) < 0)
		return false;
	ok = in->scan->found(in->scan->arg, &file);
	free(file.path);
	return ok;
}

static bool visit_file(struct scanning *in, int dirfd, const char *name)
{
	bool ok = true;
	int fd;

	atomic_fetch_add(&in->scan->beat->files, 1);
	if (is_something_else(name) || !may_touch(in, name))
		return true;
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return true;
	if (is_module(fd))
		ok = add_file(in, fd, name);
	close(fd);
	return ok;
}

/* The kernel's own trees are no place for files (and endless). */
static bool is_kernels(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ||
		fs.f_type == TRACEFS_MAGIC || fs.f_type == DEBUGFS_MAGIC ||
		fs.f_type == CGROUP2_SUPER_MAGIC);
}

static unsigned char type_of(int dirfd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN ||
	    fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return entry->d_type;
	return S_ISREG(st.st_mode) ? DT_REG : S_ISDIR(st.st_mode) ? DT_DIR : DT_LNK;
}

/* Takes fd over. */
static bool visit_dir(struct scanning *in, int fd, unsigned depth)
{
	size_t len = strlen(in->path);
	struct dirent *entry;
	bool ok = true;
	DIR *dir;

	dir = is_kernels(fd) ? NULL : fdopendir(fd);
	if (!dir) {
		close(fd);
		return true;
	}
	while (ok && may_touch(in, "") && (entry = readdir(dir))) {
		const char *name = entry->d_name;
		unsigned char type;
		int below;

		if (!strcmp(name, ".") || !strcmp(name, "..") ||
		    (entry->d_type == DT_UNKNOWN && !may_touch(in, name)))
			continue;
		type = type_of(fd, entry);
		if (type == DT_REG)
			ok = visit_file(in, fd, name);
		if (type != DT_DIR || depth == MAX_DEPTH ||
		    len + strlen(name) + 2 > sizeof(in->path) || !may_touch(in, name))
			continue;
		below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			continue;
		snprintf(in->path + len, sizeof(in->path) - len, "%s/", name);
		ok = visit_dir(in, below, depth + 1);
		in->path[len] = '\0';
	}
	closedir(dir);
	return ok;
}

bool file_scan_run(const struct file_scan *scan)
{
	struct scanning in = {.scan = scan};
	int fd;

	if (!may_touch(&in, ""))
		return true;
	fd = openat(scan->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || visit_dir(&in, fd, 0);
}
