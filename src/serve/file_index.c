/*
 * The directories: opened once, read by a process of its own (serve/indexer.h); what is opened
 * below them later is opened here.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "serve/file_index_parts.h"
#include "serve/root.h"

/* ---- indexing ------------------------------------------------------------------------ */

int file_index_create(const char *const *dirs, bool public, struct file_index **ret,
		      struct err *err)
{
	struct file_index *index = calloc(1, sizeof(*index));
	int e;

	if (!index)
		return err_set(err, -ENOMEM, "no memory for directories");
	index->public = public;
	index->indexer.fd = -1;
	e = served_dirs_open(&index->dirs, dirs, err);
	if (!e)
		e = indexer_begin(&index->indexer, index->dirs.open.at, index->dirs.open.len,
				  &index->table, err);
	if (e)
		file_index_destroy(index);
	else
		*ret = index;
	return e;
}

void file_index_destroy(struct file_index *index)
{
	if (!index)
		return;
	indexer_end(&index->indexer);
	file_table_deinit(&index->table);
	served_dirs_close(&index->dirs);
	free(index);
}

bool file_index_step(struct file_index *index, char **silent)
{
	*silent = index->dirs.silent.len ? index->dirs.silent.at[--index->dirs.silent.len] : NULL;
	if (*silent)
		return false;
	if (index->ready || !indexer_step(&index->indexer, silent))
		return index->ready;
	/* Without memory for the order nothing is found, and that is all. */
	if (!file_table_finish(&index->table))
		index->table.by_key.len = index->table.by_name.len = 0;
	return index->ready = true;
}

bool file_index_is_ready(const struct file_index *index)
{
	return index->ready;
}

uint64_t file_index_seen(const struct file_index *index)
{
	return indexer_files(&index->indexer);
}

int file_index_fd(const struct file_index *index)
{
	return indexer_fd(&index->indexer);
}

void file_index_keep_only(const struct file_index *index, int fd)
{
	VEC(int) kept = {};

	for (size_t i = 0; index && i < index->dirs.open.len; i++)
		if (!vec_push(&kept, index->dirs.open.at[i].fd))
			_exit(1);
	if (!vec_push(&kept, fd))
		_exit(1);
	descriptors_close_all_but(kept.at, kept.len);
	vec_deinit(&kept);
}

size_t file_index_count(const struct file_index *index)
{
	return index->table.files.len;
}

/* ---- opening ------------------------------------------------------------------------- */

bool file_index_each_suffix(const char *path, bool (*visit)(void *arg, const char *path),
			    void *arg)
{
	static const char *const merged[] = {"/lib", "/bin", "/sbin"};
	char longer[PATH_MAX + 8];

	for (const char *at = path; at; at = strchr(at + 1, '/'))
		if (at[*at == '/'] && visit(arg, at + (*at == '/')))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(merged); i++)
		if (!strncmp(path, merged[i], strlen(merged[i])) && strlen(path) < PATH_MAX) {
			snprintf(longer, sizeof(longer), "usr%s", path);
			return visit(arg, longer);
		}
	return false;
}

uint32_t file_index_dirs(const struct file_index *index)
{
	return (uint32_t)index->dirs.open.len;
}

int file_index_open(struct file_index *index, uint32_t dir, const char *path)
{
	if (dir >= index->dirs.open.len)
		return -EPERM;
	return root_open(index->dirs.open.at[dir].fd, path, index->public);
}

struct opening {
	struct file_index *index;
	int fd;
};

static bool visit_open(void *arg, const char *path)
{
	struct opening *o = arg;

	for (uint32_t i = 0; i < o->index->dirs.open.len && o->fd < 0; i++)
		o->fd = file_index_open(o->index, i, path);
	return o->fd >= 0;
}

int file_index_open_path(struct file_index *index, const char *path)
{
	struct opening o = {index, -ENOENT};

	if (strstr(path, "/../") || strlen(path) >= PATH_MAX)
		return -ENOENT;
	file_index_each_suffix(path, visit_open, &o);
	return o.fd;
}
