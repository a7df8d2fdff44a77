/*
 * By name: what /proc/PID/comm says, of which the kernel keeps 15 bytes (TASK_COMM_LEN,
 * linux/sched.h), or the last part of /proc/PID/exe, which a program can't change.  Of several it
 * says which they are: that one of them is meant, nobody but the user knows.
 */
#include "cli/process_name.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/quantity.h"
#include "tracer/status.h"

/* the largest process number a kernel gives: PID_MAX_LIMIT, linux/threads.h */
enum { MAX_PID = 4194304, COMM = 15, LISTED = 8 };

static bool is_called(pid_t pid, const struct status *status, const char *name)
{
	char path[64], exe[4096];
	const char *last;
	ssize_t len;

	if (!strncmp(status->name, name, COMM) && (strlen(name) <= COMM || status->name[COMM - 1]))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	len = readlink(path, exe, sizeof(exe) - 1);
	if (len <= 0)
		return false;
	exe[len] = '\0';
	last = strrchr(exe, '/');
	return last && !strcmp(last + 1, name);
}

static void list_one(char *list, size_t size, pid_t pid, const struct status *status)
{
	size_t used = strlen(list);

	snprintf(list + used, size - used, "%s%d (of %d)", used ? ", " : "", pid, status->parent);
}

static int find_by_name(const char *name, pid_t *ret, struct err *err)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	unsigned count = 0;
	char list[240] = "";

	while (dir && (entry = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
		struct status status;

		if (pid <= 0 || pid == getpid() || status_read(pid, 0, &status) ||
		    !status.has_memory || !is_called(pid, &status, name))
			continue;
		*ret = pid;
		if (count++ < LISTED)
			list_one(list, sizeof(list), pid, &status);
	}
	if (dir)
		closedir(dir);
	if (!count)
		return err_set(err, -ESRCH, "--pid: no process is called '%.40s'", name);
	if (count > 1)
		return err_set(err, -EEXIST, "--pid: %u processes are called '%.40s', give the number of one: %s%s",
			       count, name, list, count > LISTED ? ", ..." : "");
	return 0;
}

int process_name_find(const char *word, pid_t *ret, struct err *err)
{
	uint64_t number;
	int rc;

	if (!isdigit((unsigned char)word[0]) || word[strspn(word, "0123456789")])
		return find_by_name(word, ret, err);
	rc = quantity_number(word, "--pid", 1, MAX_PID, &number, err);
	if (!rc)
		*ret = (pid_t)number;
	return rc;
}
