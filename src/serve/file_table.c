/*
 * One pass over the directories.  A file whose name says that it is something else (.h, .py)
 * costs nothing; another one that does not begin like an ELF program, library or debug file
 * an open and a read of 20 bytes; of the others the build-id is read,
 * or the program headers where there is none.  Symbolic links are not followed: what they
 * lead to inside is met on its own, what is outside is not ours.
 */
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
#include "serve/file_table.h"

enum { MAX_DEPTH = 100 };

struct indexing {
	struct file_table *table;
	uint32_t dir;
	_Atomic uint64_t *seen;
	_Atomic bool *stop;
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

static bool is_module(int fd)
{
	uint8_t head[EI_NIDENT + 2];

	if (pread(fd, head, sizeof(head), 0) != sizeof(head) || memcmp(head, ELFMAG, SELFMAG) ||
	    head[EI_DATA] != ELFDATA2LSB)
		return false;
	return head[EI_NIDENT] == ET_EXEC || head[EI_NIDENT] == ET_DYN;
}

void file_table_segments(uint64_t hash, uint8_t key[FILE_KEY])
{
	memset(key, 0, FILE_KEY);
	for (int i = 0; i < 8; i++)
		key[i] = (uint8_t)(hash >> (8 * i));
}

static bool add_file(struct indexing *in, int fd, const char *name)
{
	struct indexed_file file = {.dir = in->dir};
	struct memory_file memory;
	struct image *image;
	const uint8_t *id;
	size_t len;

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
	file.name = file.path + strlen(in->path);
	if (vec_push(&in->table->files, file))
		return true;
	free(file.path);
	return false;
}

static bool visit_file(struct indexing *in, int dirfd, const char *name)
{
	bool ok = true;
	int fd;

	atomic_fetch_add(in->seen, 1);
	if (is_something_else(name))
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
static bool visit_dir(struct indexing *in, int fd, unsigned depth)
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
	while (ok && !atomic_load(in->stop) && (entry = readdir(dir))) {
		const char *name = entry->d_name;
		unsigned char type = type_of(fd, entry);
		int below;

		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		if (type == DT_REG)
			ok = visit_file(in, fd, name);
		if (type != DT_DIR || depth == MAX_DEPTH ||
		    len + strlen(name) + 2 > sizeof(in->path))
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

bool file_table_add(struct file_table *table, const struct served_dir *root, uint32_t dir,
		    _Atomic uint64_t *seen, _Atomic bool *stop)
{
	struct indexing in = {.table = table, .dir = dir, .seen = seen, .stop = stop};
	int fd = openat(root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || visit_dir(&in, fd, 0);
}

/* ---- finding ------------------------------------------------------------------------ */

/* Files with a build-id stand before those without. */
static int compare_key(const struct indexed_file *file, const uint8_t *key, bool has_build_id)
{
	if ((file->build_id_len != 0) != has_build_id)
		return has_build_id ? 1 : -1;
	return memcmp(file->key, key, FILE_KEY);
}

static int by_key(const void *a, const void *b, void *arg)
{
	const struct indexed_file *files = arg, *x = &files[*(const uint32_t *)a],
				  *y = &files[*(const uint32_t *)b];
	int order = compare_key(x, y->key, y->build_id_len != 0);

	return order ? order : strcmp(x->path, y->path);
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct indexed_file *files = arg, *x = &files[*(const uint32_t *)a],
				  *y = &files[*(const uint32_t *)b];
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->path, y->path);
}

static bool sort(const struct indexed_files *files, struct file_order *order,
		 int (*compare)(const void *, const void *, void *))
{
	if (!vec_reserve(order, files->len))
		return false;
	for (uint32_t i = 0; i < files->len; i++)
		order->at[order->len++] = i;
	if (files->len)
		qsort_r(order->at, order->len, sizeof(*order->at), compare, files->at);
	return true;
}

bool file_table_finish(struct file_table *table)
{
	return sort(&table->files, &table->by_key, by_key) &&
	       sort(&table->files, &table->by_name, by_name);
}

void file_table_deinit(struct file_table *table)
{
	for (size_t i = 0; i < table->files.len; i++)
		free(table->files.at[i].path);
	vec_deinit(&table->files);
	vec_deinit(&table->by_key);
	vec_deinit(&table->by_name);
}

/* The run of files for which compare says 0. */
static const uint32_t *find(const struct file_table *table, const struct file_order *order,
			    int (*compare)(const struct indexed_file *, const void *),
			    const void *what, size_t *count)
{
	size_t low = 0, high = order->len, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(&table->files.at[order->at[middle]], what) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < order->len; end++)
		if (compare(&table->files.at[order->at[end]], what))
			break;
	*count = end - low;
	return order->at + low;
}

struct key {
	uint8_t bytes[FILE_KEY];
	bool build_id;
};

static int key_is(const struct indexed_file *file, const void *what)
{
	const struct key *key = what;

	return compare_key(file, key->bytes, key->build_id);
}

static int name_is(const struct indexed_file *file, const void *what)
{
	return strcmp(file->name, what);
}

const uint32_t *file_table_key(const struct file_table *table, const uint8_t *bytes,
			       uint8_t build_id_len, size_t *count)
{
	struct key key = {.build_id = build_id_len != 0};
	size_t len = build_id_len && build_id_len < FILE_KEY ? build_id_len : FILE_KEY;

	memcpy(key.bytes, bytes, len);
	return find(table, &table->by_key, key_is, &key, count);
}

const uint32_t *file_table_name(const struct file_table *table, const char *name, size_t *count)
{
	return find(table, &table->by_name, name_is, name, count);
}
