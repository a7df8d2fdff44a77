/*
 * Names without memtrace-fs.  A module's file is opened by its path as the process
 * sees it (/proc/PID/root), or, once the process is gone, by the path itself; with
 * a build-id only if the file still has it, since a wrong name is worse than none.
 *
 * Per instance, at most one attempt: a file that could not be used stays so.  One whose file
 * system does not answer is not waited for (elf/file.h).
 */
#include "cli/dynsym.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/vec.h"
#include "elf/file.h"
#include "elf/image.h"

struct named {
	struct file *file;
	struct image *image; /* NULL: no names from here */
};

struct dynsym {
	int pid;
	struct mounts mounts, ours; /* the process', and those of paths without it */
	struct files files;
	VEC(struct named *) list; /* by instance; NULL: not asked yet */
};

struct dynsym *dynsym_create(int pid)
{
	struct dynsym *dynsym = calloc(1, sizeof(*dynsym));

	if (!dynsym)
		return NULL;
	dynsym->pid = pid;
	mounts_read(pid, &dynsym->mounts);
	mounts_read(getpid(), &dynsym->ours);
	return dynsym;
}

static void named_close(struct named *named)
{
	if (!named)
		return;
	image_close(named->image);
	file_destroy(named->file);
	free(named);
}

void dynsym_destroy(struct dynsym *dynsym)
{
	if (!dynsym)
		return;
	for (size_t i = 0; i < dynsym->list.len; i++)
		named_close(dynsym->list.at[i]);
	vec_deinit(&dynsym->list);
	files_deinit(&dynsym->files);
	mounts_deinit(&dynsym->mounts);
	mounts_deinit(&dynsym->ours);
	free(dynsym);
}

static bool same_build(struct image *image, const struct snapshot_module *module)
{
	size_t len;
	const uint8_t *id = image_build_id(image, &len);

	return len == module->id.build_id_len &&
	       (!len || !memcmp(id, module->id.build_id, len));
}

static bool open_at(struct dynsym *dynsym, struct named *named, const struct mounts *mounts,
		    const char *path, const struct snapshot_module *module)
{
	const struct file_name name = {dynsym->pid, 0, path, module->id.path, false};

	if (file_open(&dynsym->files, mounts, &name, &named->file))
		return false;
	if (!image_open(&named->file->memory, &named->image, NULL) &&
	    same_build(named->image, module))
		return true;
	image_close(named->image);
	file_destroy(named->file);
	*named = (struct named){0};
	return false;
}

static void open_module(struct dynsym *dynsym, struct named *named,
			const struct snapshot_module *module)
{
	char path[4200];

	if (!module->id.path || module->id.path[0] != '/' || module->deleted)
		return;
	snprintf(path, sizeof(path), "/proc/%d/root%s", dynsym->pid, module->id.path);
	if (!open_at(dynsym, named, &dynsym->mounts, path, module))
		open_at(dynsym, named, &dynsym->ours, module->id.path, module);
}

static struct named *find(struct dynsym *dynsym, const struct snapshot_module *module)
{
	uint32_t i = module->instance;

	while (dynsym->list.len <= i)
		if (!vec_push(&dynsym->list, NULL))
			return NULL;
	if (!dynsym->list.at[i]) {
		dynsym->list.at[i] = calloc(1, sizeof(struct named));
		if (dynsym->list.at[i])
			open_module(dynsym, dynsym->list.at[i], module);
	}
	return dynsym->list.at[i];
}

const char *dynsym_symbol(void *arg, const struct snapshot_module *module, uint64_t offset,
			  uint64_t *base)
{
	struct named *named = find(arg, module);
	struct image_symbol symbol;

	if (!named || !named->image || !image_symbol_at(named->image, offset, &symbol))
		return NULL;
	*base = symbol.value;
	return symbol.name;
}
