/*
 * A staging directory, or the root of a process, is a small world of its own: its absolute
 * links mean its own root, and whoever asks for "../../etc/shadow" gets what is at that place
 * inside.
 *
 * The path is walked component by component, for the permissions of each directory on the way
 * matter too (openat2(RESOLVE_IN_ROOT) does the rest): what is still to come is kept as text,
 * so that a link's target can be put in front of it; the directories above are kept open, so
 * that ".." goes back to one we came through and never asks the file system where that is.
 * All of it with O_PATH, which touches nothing; only what is then seen to be a regular file is
 * opened, through its own descriptor, so that it is that one.
 */
#include "serve/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/syscalls.h"
#include "base/types.h"

enum {
	OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
	MAX_DEPTH = 128,
	MAX_LINKS = 40, /* as the kernel */
};

struct walk {
	int fds[MAX_DEPTH]; /* [0]: the root, the caller's */
	int depth;
	int links;
	bool public;
	char left[2 * PATH_MAX];
};

/* Cuts the first component off what is left; false: there is none. */
static bool next_component(struct walk *w, char component[NAME_MAX + 1])
{
	const char *at = w->left + strspn(w->left, "/");
	size_t len = strcspn(at, "/");

	if (!len || len > NAME_MAX)
		return false;
	memcpy(component, at, len);
	component[len] = '\0';
	memmove(w->left, at + len, strlen(at + len) + 1);
	return true;
}

static void go_up(struct walk *w)
{
	if (w->depth)
		close(w->fds[w->depth--]);
}

/* Puts the link's target in front of what is left.  0 or -errno. */
static int follow_link(struct walk *w, int fd)
{
	char target[PATH_MAX], rest[2 * PATH_MAX];
	ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (++w->links > MAX_LINKS)
		return -ELOOP;
	memcpy(rest, w->left, sizeof(rest));
	if ((size_t)snprintf(w->left, sizeof(w->left), "%s/%s", target, rest) >=
	    sizeof(w->left))
		return -ENAMETOOLONG;
	while (*target == '/' && w->depth)
		go_up(w);
	return 0;
}

/* One component further.  0, or -errno. */
static int step(struct walk *w, const char *component)
{
	struct stat st;
	int fd, e = 0;

	if (!strcmp(component, ".."))
		go_up(w);
	if (!strcmp(component, "..") || !strcmp(component, "."))
		return 0;
	fd = openat(w->fds[w->depth], component, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		e = -errno;
	else if (S_ISLNK(st.st_mode))
		e = follow_link(w, fd);
	else if (w->public && S_ISDIR(st.st_mode) && !(st.st_mode & S_IXOTH))
		e = -EACCES;
	else if (w->depth + 1 == MAX_DEPTH)
		e = -ENAMETOOLONG;
	else
		w->fds[++w->depth] = fd;
	if (e || w->fds[w->depth] != fd)
		close(fd);
	return e;
}

int root_reopen(int fd, bool public)
{
	char self[64];
	struct stat st;
	int opened;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	if (public && !(st.st_mode & S_IROTH))
		return -EACCES;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	opened = open(self, OPEN_FLAGS);
	return opened < 0 ? -errno : opened;
}

int root_open(int root, const char *path, bool public)
{
	struct walk w = {.fds = {root}, .public = public};
	char component[NAME_MAX + 1];
	int e = 0, fd;

	if ((size_t)snprintf(w.left, sizeof(w.left), "%s", path) >= PATH_MAX)
		return -ENAMETOOLONG;
	while (!e && next_component(&w, component))
		e = step(&w, component);
	if (!e && w.left[strspn(w.left, "/")])
		e = -ENAMETOOLONG;
	fd = e ? e : root_reopen(w.fds[w.depth], public);
	while (w.depth)
		go_up(&w);
	return fd;
}
