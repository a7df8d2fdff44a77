/*
 * /proc/PID/task/TID/children, of each thread and then of each child: a line of numbers.  It costs
 * one file for a process without children, and nothing of the process waits.  A number may be
 * another process the next time; when it began tells.
 */
#include "tracer/family.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/scope.h"
#include "tracer/status.h"

enum { THREADS_MOST = 256 };

/* "/proc/PID/exe" of both is the same file; where it can't be read, the same name. */
static bool is_same_program(pid_t a, pid_t b)
{
	char path[64], one[256], other[256];
	ssize_t n, m;

	snprintf(path, sizeof(path), "/proc/%d/exe", a);
	n = readlink(path, one, sizeof(one));
	snprintf(path, sizeof(path), "/proc/%d/exe", b);
	m = readlink(path, other, sizeof(other));
	return n > 0 && n == m && !memcmp(one, other, (size_t)n);
}

static void words_of(pid_t pid, char *ret, size_t size)
{
	char **command = status_command(pid);

	*ret = '\0';
	for (char **at = command; at && *at && strlen(ret) + strlen(*at) + 2 < size; at++)
		snprintf(ret + strlen(ret), size - strlen(ret), "%s%s", *ret ? " " : "", *at);
	free(command);
}

static struct relative *find(struct family *family, pid_t pid, uint64_t start)
{
	for (size_t i = 0; i < family->len; i++)
		if (family->at[i].pid == pid && family->at[i].start == start)
			return &family->at[i];
	return NULL;
}

/* "RssAnon:" (Linux 4.5), in kB; 0: not known. */
static uint64_t private_kb(pid_t pid)
{
	char path[64], line[128];
	uint64_t kb = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "RssAnon:", 8))
			kb = strtoull(line + 8, NULL, 10);
	if (file)
		fclose(file);
	return kb;
}

/* False: it is gone, or there are too many. */
static bool see(struct family *family, pid_t parent, pid_t pid)
{
	struct relative new = {.pid = pid, .start = status_start(pid)}, *relative;
	struct status status;
	uint64_t kb;

	if (!new.start || status_read(pid, 0, &status) || !status.has_memory)
		return false;
	relative = find(family, pid, new.start);
	if (!relative) {
		if (family->len >= FAMILY_MOST || !vec_push(family, new))
			return false;
		relative = &family->at[family->len - 1];
	}
	relative->alive = true;
	relative->program |= !is_same_program(parent, pid);
	memcpy(relative->name, status.name, sizeof(relative->name));
	words_of(pid, relative->command, sizeof(relative->command));
	kb = private_kb(pid);
	if (kb > relative->private_kb)
		relative->private_kb = kb;
	return true;
}

static void look_below(struct family *family, pid_t root, pid_t pid, int depth);

static void look_at_thread(struct family *family, pid_t root, pid_t pid, pid_t tid, int depth)
{
	char path[64], text[4096], *at = text, *end;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	scope_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	for (pid_t child; (child = (pid_t)strtol(at, &end, 10)) > 0 && end != at; at = end)
		if (see(family, root, child))
			look_below(family, root, child, depth + 1);
}

static void look_below(struct family *family, pid_t root, pid_t pid, int depth)
{
	enum { DEPTH_MOST = 8 };
	struct tid_list tids = {0};

	if (depth < DEPTH_MOST && !status_threads(pid, &tids))
		for (size_t i = 0; i < tids.len && i < THREADS_MOST; i++)
			look_at_thread(family, root, pid, tids.at[i], depth);
	vec_deinit(&tids);
}

void family_look(struct family *family, pid_t pid, pid_t child)
{
	for (size_t i = 0; i < family->len; i++)
		family->at[i].alive = false;
	look_below(family, pid, pid, 0);
	/* Those of a process that has ended, or lost, are no children of its any more. */
	for (size_t i = 0; i < family->len; i++)
		if (!family->at[i].alive &&
		    status_start(family->at[i].pid) == family->at[i].start)
			see(family, pid, family->at[i].pid);
	if (child)
		see(family, pid, child);
}
