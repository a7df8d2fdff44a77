/*
 * Two kinds of processes: the opener never touches a file, and so never hangs; its hands do,
 * one at a time.  What is silent is remembered with the hand's socket: when that says something
 * at last, the directory answers again.
 */
#include "serve/opener.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/vec.h"
#include "serve/file_index.h"
#include "serve/post.h"

enum { MAX_SILENT = 16 }; /* hands that are left alone; then nothing is opened any more */

struct silent {
	int hand;
	struct files_where where;
	char *dir;
};

struct opener {
	const struct search_dirs *dirs;
	int worker;
	int hand; /* -1: none */
	struct silent silent[MAX_SILENT];
	size_t count;
};

/* Waits for a path, and sends what `open` makes of it; until nobody asks any more. */
_Noreturn static void serve(int socket,
			    int (*open)(void *arg, struct files_where, const char *), void *arg)
{
	struct post_bytes path = {};
	struct post letter;
	int fd;

	while (post_wait(socket, &letter, &path, &fd) == 0) {
		const struct files_where where = {(enum files_kind)(letter.arg >> 32),
						  (uint32_t)letter.arg};

		fd = letter.len < PATH_MAX ? open(arg, where, (char *)path.at) : -ENAMETOOLONG;
		if (post_pass(socket, POST_FILE, fd < 0 ? (uint64_t)(int64_t)fd : 0, fd))
			break;
		if (fd >= 0)
			close(fd);
	}
	_exit(0);
}

/* ---- a hand ------------------------------------------------------------------------------ */

static int open_here(void *arg, struct files_where where, const char *path)
{
	return files_open_here(arg, where, path);
}

static void hand_begin(struct opener *o)
{
	int fds[2];
	pid_t pid;

	o->hand = -1;
	if (o->count == MAX_SILENT || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return;
	pid = fork();
	if (pid == 0) {
		close(o->worker);
		close(fds[0]);
		for (size_t i = 0; i < o->count; i++)
			close(o->silent[i].hand);
		serve(fds[1], open_here, (void *)o->dirs);
	}
	close(fds[1]);
	if (pid > 0)
		o->hand = fds[0];
	else
		close(fds[0]);
}

/* ---- who is silent ------------------------------------------------------------------------
 */

static bool is_readable(int fd, int ms)
{
	struct pollfd wait = {fd, POLLIN, 0};
	int n;

	do
		n = poll(&wait, 1, ms);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

static void forget_answered(struct opener *o)
{
	for (size_t i = o->count; i--;) {
		if (!is_readable(o->silent[i].hand, 0))
			continue;
		close(o->silent[i].hand); /* (it has opened what nobody waits for) */
		free(o->silent[i].dir);
		o->silent[i] = o->silent[--o->count];
	}
}

static size_t dir_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

static bool is_silent(const struct opener *o, struct files_where where, const char *path)
{
	size_t len = dir_length(path);

	for (size_t i = 0; i < o->count; i++)
		if (o->silent[i].where.kind == where.kind &&
		    o->silent[i].where.which == where.which &&
		    strlen(o->silent[i].dir) == len && !memcmp(o->silent[i].dir, path, len))
			return true;
	return false;
}

static void hand_is_silent(struct opener *o, struct files_where where, const char *path)
{
	char *dir = strndup(path, dir_length(path));

	if (dir)
		o->silent[o->count++] = (struct silent){o->hand, where, dir};
	else
		close(o->hand);
	o->hand = -1;
}

/* ---- the opener ---------------------------------------------------------------------------
 */

/* By the hand, in time. */
static int open_in_time(void *arg, struct files_where where, const char *path)
{
	struct opener *o = arg;
	struct post_bytes none = {};
	struct post letter;
	int e, fd;

	forget_answered(o);
	if (is_silent(o, where, path))
		return -ETIMEDOUT;
	if (o->hand < 0)
		hand_begin(o);
	if (o->hand < 0)
		return o->count == MAX_SILENT ? -ETIMEDOUT : -EAGAIN;
	e = post_send(o->hand, POST_OPEN, (uint64_t)where.kind << 32 | where.which, path,
		      strlen(path));
	if (!e && !is_readable(o->hand, OPENER_LIMIT_MS)) {
		hand_is_silent(o, where, path);
		return -ETIMEDOUT;
	}
	if (!e)
		e = post_wait(o->hand, &letter, &none, &fd);
	vec_deinit(&none);
	if (e) { /* it has died */
		close(o->hand);
		o->hand = -1;
		return e;
	}
	return fd >= 0 ? fd : (int)letter.arg;
}

int opener_begin(const struct search_dirs *dirs)
{
	struct opener opener = {.dirs = dirs, .hand = -1};
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	pid = fork();
	if (pid == 0) {
		signal(SIGCHLD, SIG_IGN);
		signal(SIGINT, SIG_IGN);
		opener.worker = fds[1];
		file_index_keep_only(dirs->index, opener.worker);
		serve(opener.worker, open_in_time, &opener);
	}
	close(fds[1]);
	if (pid > 0)
		return fds[0];
	close(fds[0]);
	return -1;
}

int opener_ask(int socket, struct files_where where, const char *path)
{
	struct post_bytes none = {};
	struct post letter = {};
	int fd = -1, e = post_send(socket, POST_OPEN, (uint64_t)where.kind << 32 | where.which,
				   path, strlen(path));

	if (!e)
		e = post_wait(socket, &letter, &none, &fd);
	vec_deinit(&none);
	return e ? e : fd >= 0 ? fd : letter.arg ? (int)letter.arg : -ENOENT;
}
