/*
 * A directory is opened by a child, as the way to it may lead through a file system whose server is
 * dead: that open() does not return, and may not even end by a kill.  All are asked for at once,
 * and one that is silent for SERVED_DIRS_LIMIT_MS is left alone, with its child.
 */
#include "serve/served_dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "serve/post.h"
#include "serve/process_end.h"

struct opening {
	pid_t pid;
	int socket;
};

_Noreturn static void open_it(const char *dir, int socket)
{
	int fd;

	descriptors_close_but(socket, -1);
	signal(SIGINT, SIG_IGN); /* the server's */
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	post_pass(socket, POST_FILE, fd < 0 ? (uint64_t)-errno : 0, fd);
	_exit(0);
}

static int begin(struct opening *ret, const char *dir)
{
	int ends[2], e;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	*ret = (struct opening){fork(), ends[0]};
	e = ret->pid < 0 ? -errno : 0;
	if (ret->pid == 0)
		open_it(dir, ends[1]);
	close(ends[1]);
	return e;
}

/* A descriptor; -ETIMEDOUT, or what open() said. */
static int await(const struct opening *o, int64_t end)
{
	struct post_bytes none = {};
	struct post letter;
	int fd = -1, e, n;

	do {
		int64_t left = end - clock_ms();
		struct pollfd wait = {o->socket, POLLIN, 0};

		n = poll(&wait, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -ETIMEDOUT;
	e = post_wait(o->socket, &letter, &none, &fd);
	vec_deinit(&none);
	return e ? e : fd >= 0 ? fd : (int)(int64_t)letter.arg;
}

static int take(struct served_dirs *dirs, const char *dir, int fd, struct err *err)
{
	char *silent = fd == -ETIMEDOUT ? strdup(dir) : NULL;

	if (silent && vec_push(&dirs->silent, silent))
		return 0;
	free(silent);
	if (fd < 0 && fd != -ETIMEDOUT)
		return err_sys(err, fd, "%s", dir);
	if (fd >= 0 && vec_push(&dirs->open, ((struct served_dir){dir, fd})))
		return 0;
	if (fd >= 0)
		close(fd);
	return err_set(err, -ENOMEM, "no memory for directories");
}

int served_dirs_open(struct served_dirs *ret, const char *const *names, struct err *err)
{
	int64_t limit = clock_ms() + SERVED_DIRS_LIMIT_MS;
	struct opening *all;
	size_t count = 0, begun = 0;
	int status, e = 0;

	*ret = (struct served_dirs){};
	while (names[count])
		count++;
	all = calloc(count + 1, sizeof(*all));
	if (!all)
		return err_set(err, -ENOMEM, "no memory for directories");
	for (; !e && begun < count; begun++)
		e = begin(&all[begun], names[begun]);
	if (e)
		e = err_sys(err, e, "%s", names[begun - 1]);
	for (size_t i = 0; i < begun; i++) {
		if (!e)
			e = take(ret, names[i], await(&all[i], limit), err);
		if (all[i].socket > 0)
			close(all[i].socket);
		if (all[i].pid > 0)
			process_end(all[i].pid, &status);
	}
	free(all);
	return e;
}

void served_dirs_close(struct served_dirs *dirs)
{
	for (size_t i = 0; i < dirs->open.len; i++)
		close(dirs->open.at[i].fd);
	for (size_t i = 0; i < dirs->silent.len; i++)
		free(dirs->silent.at[i]);
	vec_deinit(&dirs->open);
	vec_deinit(&dirs->silent);
}
