/*
 * open(FILE.PID.tmp), write, fsync, rename.  A rename replaces the name, so a symbolic link is
 * followed first, and the mode of an old file is given to the new one.
 */
#include "cli/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct err *err, int code)
{
	return err_set(err, code, "%s",
		       code == -ENOTTY ? "it is a terminal, and this no text"
				       : strerror(-code));
}

/* A new file beside path; < 0: errno says why not. */
static int open_beside(struct atomic_file *file)
{
	int fd = -1;

	for (int i = 0; i < 100 && fd < 0; i++) {
		free(file->temporary);
		file->temporary = NULL;
		if (asprintf(&file->temporary, "%s.%d-%d.tmp", file->path, (int)getpid(), i) <
		    0) {
			file->temporary = NULL;
			return -1;
		}
		fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (fd < 0) {
		free(file->temporary);
		file->temporary = NULL;
	}
	return fd;
}

/* The fd to write to. */
static int open_either(struct atomic_file *file, const struct stat *old)
{
	bool regular = !old || S_ISREG(old->st_mode);
	int fd = regular ? open_beside(file) : -1;

	if (fd >= 0 && old)
		(void)fchmod(fd, old->st_mode & 07777);
	if (fd >= 0)
		return fd;
	file->truncates = regular;
	return open(file->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

int atomic_file_open(const char *path, struct atomic_file *ret, struct err *err)
{
	struct atomic_file file = {.path = realpath(path, NULL)};
	struct stat old;
	bool exists;
	int fd, code;

	/* a pipe behind a link of /proc has no path, but is there */
	if (!file.path)
		file.path = strdup(path);
	exists = file.path && !stat(file.path, &old);
	fd = file.path ? open_either(&file, exists ? &old : NULL) : -1;
	if (fd >= 0 && isatty(fd)) {
		close(fd);
		fd = -1;
		errno = ENOTTY;
	}
	file.out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (file.out) {
		*ret = file;
		return 0;
	}
	code = -errno;
	if (fd >= 0)
		close(fd);
	if (file.temporary)
		unlink(file.temporary);
	free(file.temporary);
	free(file.path);
	return fail(err, code);
}

/* On the disk, as far as there is one. */
static int put_down(struct atomic_file *file)
{
	if (fflush(file->out))
		return -errno;
	if (fsync(fileno(file->out)) && errno != EINVAL && errno != EROFS && errno != ENOSYS)
		return -errno;
	return 0;
}

int atomic_file_close(struct atomic_file *file, int failed, struct err *err)
{
	int code = failed ? 0 : put_down(file);

	if ((failed || code) && file->truncates)
		err_ignore(ftruncate(fileno(file->out), 0)); /* half of it is still said to be half */
	if (fclose(file->out) && !failed && !code)
		code = -errno;
	if (file->temporary && (failed || code))
		unlink(file->temporary);
	else if (file->temporary && rename(file->temporary, file->path)) {
		code = -errno;
		unlink(file->temporary);
	}
	if (!failed && code)
		fail(err, code);
	free(file->temporary);
	free(file->path);
	*file = (struct atomic_file){0};
	return failed ? failed : code;
}
