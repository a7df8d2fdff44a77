/*
 * Opening the file that is mapped, the very one: by the kernel's link to it, or by its path if
 * what is there now is the same; where neither can be had, its image is what the process has in
 * memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "elf/module_parts.h"

/* The mapping of the beginning of m's file that belongs to the same load. */
static const struct mapping *first_mapping(const struct update *u, const struct mapping *m)
{
	const struct mapping *first = u->maps->list.at;

	for (const struct mapping *at = m;; at--) {
		if (at->offset == 0 && at->dev == m->dev && at->inode == m->inode &&
		    !strcmp(at->path, m->path))
			return at;
		if (at == first)
			return NULL;
	}
}

/* Whether an open file is what is mapped: by build-id, or without one by the first
 * page (ELF header, program headers, dynamic symbols). */
static bool same_content(const struct update *u, struct module *module, struct file *file,
			 const struct mapping *m)
{
	const struct mapping *first = first_mapping(u, m);
	uint8_t in_file[4096], in_process[sizeof(in_file)];
	struct image *a = NULL, *b = NULL;
	const uint8_t *a_id, *b_id;
	size_t a_len, b_len;
	bool same;

	if (!first || !u->process)
		return false;
	if (image_open(&file->memory, &a, NULL) ||
	    image_open_loaded(u->process, first->begin, &b, NULL)) {
		image_close(a);
		return false;
	}
	a_id = image_build_id(a, &a_len);
	b_id = image_build_id(b, &b_len);
	if (a_len || b_len)
		same = a_len == b_len && !memcmp(a_id, b_id, a_len);
	else
		same = !memory_read(&file->memory, 0, in_file, sizeof(in_file)) &&
		       !memory_read(u->process, first->begin, in_process, sizeof(in_process)) &&
		       !memcmp(in_file, in_process, sizeof(in_file));
	image_close(a);
	image_close(b);
	if (!same)
		snprintf(module->why, sizeof(module->why),
			 "the file was replaced after it was loaded");
	return same;
}

const struct mounts *update_mounts(struct update *u)
{
	if (!u->has_mounts)
		mounts_read(u->pid, &u->mounts);
	u->has_mounts = true;
	return &u->mounts;
}

static int open_as(struct update *u, const struct mapping *m, const char *path, struct file **ret)
{
	const struct file_name name = {u->pid, m->dev, path, m->path, false};

	return file_open(&u->modules->files, update_mounts(u), &name, ret);
}

static int why_not(struct module *module, int rc, const char *path)
{
	module->silent = rc == -ETIMEDOUT;
	if (module->silent)
		snprintf(module->why, sizeof(module->why), "its file system does not answer");
	else
		snprintf(module->why, sizeof(module->why), "opening %.90s: %s", path,
			 strerror(-rc));
	return rc;
}

/* By its path, if that is the same file: 0, or -errno with the reason in module->why. */
static int open_by_path(struct update *u, struct module *module, const struct mapping *m,
			struct file **ret)
{
	scope_free char *path = NULL;
	struct file *file;
	int rc;

	if (asprintf(&path, "/proc/%d/root%s", u->pid, m->path) < 0)
		return -ENOMEM;
	rc = open_as(u, m, path, &file);
	if (rc)
		return why_not(module, rc, path);
	if (file->stat.st_ino == m->inode &&
	    (file->stat.st_dev == m->dev || same_content(u, module, file, m))) {
		*ret = file;
		return 0;
	}
	if (!module->why[0])
		snprintf(module->why, sizeof(module->why),
			 "the file at this path is another one now");
	file_destroy(file);
	return -ESTALE;
}

static int open_file(struct update *u, struct module *module, const struct mapping *m,
		     struct file **ret)
{
	char path[96];
	int rc;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, u->pid,
		 m->begin, m->end);
	rc = open_as(u, m, path, ret);
	if (!rc || rc == -ETIMEDOUT)
		return rc ? why_not(module, rc, path) : 0;
	if (m->deleted) {
		snprintf(module->why, sizeof(module->why), "the file was deleted or replaced");
		return -ENOENT;
	}
	return open_by_path(u, module, m, ret);
}

/* Reads everything that may be asked for later: the mapping may be gone by then. */
static void read_ahead(struct image *image)
{
	struct image_symbol ignored;
	size_t len;

	image_build_id(image, &len);
	image_eh_frame_hdr(image);
	image_eh_frame(image);
	image_exidx(image);
	image_symbol_find(image, "", &ignored);
}

/* In the process' memory: 0, or why there is no image there. */
static int open_loaded(const struct update *u, struct module *module, const struct mapping *m,
		       struct err *err)
{
	const struct mapping *first = is_vdso(m) ? m : first_mapping(u, m);
	int rc;

	if (!u->process || !first)
		return err_set(err, -ENODATA, "its file can't be read");
	rc = image_open_loaded(u->process, first->begin, &module->image, err);
	if (!rc)
		read_ahead(module->image);
	return rc;
}

bool module_open(struct update *u, struct module *module, const struct mapping *m)
{
	struct err err = {0};
	int rc;

	if (!is_vdso(m) && !open_file(u, module, m, &module->file)) {
		module->source = &module->file->memory;
		rc = image_open(module->source, &module->image, &err);
	} else {
		rc = open_loaded(u, module, m, &err);
	}
	if (rc) {
		if (!module->silent && (rc != -ENODATA || !module->why[0]))
			snprintf(module->why, sizeof(module->why), "%.150s", err.text);
		module_close(module);
	}
	return rc != -ENOEXEC;
}

void module_close(struct module *module)
{
	file_destroy(module->file);
	module->file = NULL;
	module->source = NULL;
}
