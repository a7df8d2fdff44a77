/*
 * A line is appended with one write(), so that consoles side by side lose none of each other's;
 * a file that has grown large is cut to its last half when it is next read.
 */
#include "cli/history.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scope.h"
#include "base/types.h"

enum { LARGE = 64 * 1024 };

/* Makes the directories that are missing.  False: there is no such place. */
static bool path_of(char path[PATH_MAX])
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int len = state && *state == '/'
			  ? snprintf(path, PATH_MAX, "%s/memtrace/history", state)
		  : home && *home == '/'
			  ? snprintf(path, PATH_MAX, "%s/.local/state/memtrace/history", home)
			  : -1;

	if (len < 0 || len >= PATH_MAX)
		return false;
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)!mkdir(path, 0700);
		*slash = '/';
	}
	return true;
}

/* Only what is a file: somebody may have put anything there.  -1: there is none. */
static int open_file(int flags)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (!path_of(path))
		return -1;
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Up to the last 2 * LARGE bytes; NULL: nothing. */
static char *read_end(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	off_t begin = size > 2 * LARGE ? size - 2 * LARGE : 0;
	char *text = size > 0 ? malloc((size_t)(size - begin) + 1) : NULL;
	ssize_t got = text ? pread(fd, text, (size_t)(size - begin), begin) : -1;

	if (got < 0) {
		free(text);
		return NULL;
	}
	text[got] = '\0';
	return text;
}

void history_load(void (*take)(const char *line))
{
	int fd = open_file(O_RDWR);
	scope_free char *text = fd >= 0 ? read_end(fd) : NULL;
	char *line = text, *end;

	if (text && strlen(text) > LARGE) {
		line = text + strlen(text) - LARGE / 2;
		line += strcspn(line, "\n");
		line += *line == '\n';
		if (pwrite(fd, line, strlen(line), 0) == (ssize_t)strlen(line))
			(void)!ftruncate(fd, (off_t)strlen(line));
	}
	if (fd >= 0)
		close(fd);
	for (; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (*line)
			take(line);
	}
}

void history_append(const char *line)
{
	size_t len = strlen(line);
	scope_free char *whole = malloc(len + 2);
	int fd = whole ? open_file(O_WRONLY | O_APPEND | O_CREAT) : -1;

	if (fd < 0)
		return;
	memcpy(whole, line, len);
	memcpy(whole + len, "\n", 2);
	(void)!write(fd, whole, len + 1);
	close(fd);
}
