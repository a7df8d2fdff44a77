/*
 * By name: what /proc/PID/comm says, of which the kernel keeps 15 bytes (TASK_COMM_LEN,
 * linux/sched.h), or the last part of /proc/PID/exe, which a program can't change.
 */
#include "cli/process_name.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/quantity.h"
#include "tracer/sharers.h"
#include "tracer/status.h"

/* the largest process number a kernel gives: PID_MAX_LIMIT, linux/threads.h */
enum { MAX_PID = 4194304, COMM = 15, ANCESTORS = 16 };

bool process_name_is_number(const char *word)
{
	return isdigit((unsigned char)word[0]) && !word[strspn(word, "0123456789")];
}

bool process_name_is_ours(pid_t pid)
{
	struct status status;

	for (int n = 0; n < ANCESTORS && pid > 1; n++) {
		if (pid == getpid())
			return true;
		if (status_read(pid, 0, &status)) /* it has ended; or is another user's, and hidden (hidepid) */
			return kill(pid, 0) && errno == ESRCH;
		pid = status.parent;
	}
	return false;
}

bool process_name_is_another(pid_t pid, const struct status *status)
{
	return status->has_memory && !sharers_share(status->parent, pid) && !process_name_is_ours(pid);
}

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

bool process_name_is(pid_t pid, const struct option_list *words)
{
	struct status status;
	bool found = false;

	if (status_read(pid, 0, &status))
		return false;
	for (size_t i = 0; i < words->len && !found; i++)
		found = !process_name_is_number(words->at[i]) && is_called(pid, &status, words->at[i]);
	return found;
}

static int add(struct tid_list *list, pid_t pid, struct err *err)
{
	for (size_t i = 0; i < list->len; i++)
		if (list->at[i] == pid)
			return 0;
	return vec_push(list, pid) ? 0 : err_set(err, -ENOMEM, "memory is short");
}

static int find_by_name(const char *name, struct tid_list *ret, struct err *err)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	bool found = false;
	int rc = 0;

	while (dir && !rc && (entry = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
		struct status status;

		if (pid <= 0 || status_read(pid, 0, &status) || !status.has_memory ||
		    !is_called(pid, &status, name) || !process_name_is_another(pid, &status))
			continue;
		found = true;
		rc = add(ret, pid, err);
	}
	if (dir)
		closedir(dir);
	return rc || found ? rc
			   : err_set(err, -ESRCH, "--pid: no process is called '%.40s'", name);
}

int process_name_find(const char *word, struct tid_list *ret, struct err *err)
{
	uint64_t number;
	int rc;

	if (!process_name_is_number(word))
		return find_by_name(word, ret, err);
	rc = quantity_number(word, "--pid", 1, MAX_PID, &number, err);
	return rc ? rc : add(ret, (pid_t)number, err);
}
