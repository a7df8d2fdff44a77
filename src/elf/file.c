/* Two ways to one interface; which is taken is decided by the mounts alone. */
#include "elf/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

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

static int open_near(const char *path, struct file *file)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int rc = fd < 0 || fstat(fd, &file->stat) < 0 ? -errno : 0;

	if (!rc && !S_ISREG(file->stat.st_mode))
		rc = -EINVAL;
	if (!rc)
		memory_file_init(&file->near, fd);
	else if (fd >= 0)
		close(fd);
	return rc;
}

static int open_distant(struct files *files, uint64_t dev, const char *path, struct file *file)
{
	struct apart *apart = apart_of(files, dev);
	int handle = apart ? apart_open(apart, path, &file->stat) : -ENOMEM;

	file->is_distant = true;
	if (handle >= 0)
		apart_file_init(&file->distant, apart, handle);
	return handle < 0 ? handle : 0;
}

int file_open(struct files *files, const struct mounts *mounts, uint64_t dev, const char *path,
	      const char *as, struct file **ret)
{
	struct file *file = calloc(1, sizeof(*file));
	int rc;

	if (!file)
		return -ENOMEM;
	rc = mounts_are_local(mounts, dev, as) ? open_near(path, file)
					       : open_distant(files, dev, path, file);
	if (rc) {
		free(file);
		return rc;
	}
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
	close(file->near.fd);
	file->near.fd = -1;
}

void file_destroy(struct file *file)
{
	if (file)
		file_shut(file);
	free(file);
}
