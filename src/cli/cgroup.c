/*
 * A group is a directory below /sys/fs/cgroup with a file cgroup.procs; what systemd calls a unit is
 * one of its name (Documentation/admin-guide/cgroup-v2.rst; systemd.resource-control(5)).  With
 * cgroup v1 it is below the hierarchy `systemd`, or `unified`.
 */
#include "cli/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/process_name.h"

#define ROOT "/sys/fs/cgroup"

enum { DEEPEST = 12 };

static bool is_group(const char *path)
{
	char procs[CGROUP_PATH + 16];

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	return access(procs, R_OK) == 0;
}

int cgroup_of_path(const char *path, char ret[CGROUP_PATH], struct err *err)
{
	static const char *const roots[] = {"", ROOT "/", ROOT "/unified/", ROOT "/systemd/"};

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		int len = snprintf(ret, CGROUP_PATH, "%s%s", roots[i], path);

		if (len < CGROUP_PATH && is_group(ret))
			return 0;
	}
	return err_set(err, -ENOENT, "--cgroup: %s is no control group, nor is it below %s", path,
		       ROOT);
}

/* ---- below a directory ------------------------------------------------------------- */

/* Calls visit for each directory in one; it ends with the first true. */
static bool each_below(const char *path, bool (*visit)(void *arg, const char *path, const char *name),
		       void *arg)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char below[CGROUP_PATH];
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) < CGROUP_PATH)
			found = visit(arg, below, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

struct finding {
	const char *name;
	unsigned depth;
	char *ret;
};

static bool find_unit(void *arg, const char *path, const char *name)
{
	struct finding *f = arg;
	bool found;

	if (!strcmp(name, f->name) && is_group(path)) {
		snprintf(f->ret, CGROUP_PATH, "%s", path);
		return true;
	}
	if (f->depth == DEEPEST)
		return false;
	f->depth++;
	found = each_below(path, find_unit, f);
	f->depth--;
	return found;
}

int cgroup_of_unit(const char *unit, char ret[CGROUP_PATH], struct err *err)
{
	static const char *const roots[] = {ROOT "/systemd", ROOT "/unified", ROOT};
	char name[256];
	struct finding finding = {name, 0, ret};

	snprintf(name, sizeof(name), "%.240s%s", unit, strchr(unit, '.') ? "" : ".service");
	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++)
		if (each_below(roots[i], find_unit, &finding))
			return 0;
	return err_set(err, -ENOENT, "--unit: %s does not run, or this system has no systemd", name);
}

/* ---- members ---------------------------------------------------------------------- */

static void add(struct tid_list *list, pid_t pid)
{
	struct status status;

	for (size_t i = 0; i < list->len; i++)
		if (list->at[i] == pid)
			return;
	if (!status_read(pid, 0, &status) && process_name_is_another(pid, &status))
		(void)vec_push(list, pid);
}

struct gathering {
	struct tid_list *list;
	unsigned depth;
};

static bool gather(void *arg, const char *path, const char *name)
{
	struct gathering *g = arg;
	char procs[CGROUP_PATH + 16], line[32];
	FILE *file;

	(void)name;
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	file = fopen(procs, "re");
	while (file && fgets(line, sizeof(line), file))
		add(g->list, (pid_t)strtol(line, NULL, 10));
	if (file)
		fclose(file);
	if (g->depth == DEEPEST)
		return false;
	g->depth++;
	each_below(path, gather, g);
	g->depth--;
	return false;
}

void cgroup_members(const char *group, struct tid_list *ret)
{
	struct gathering gathering = {ret, 0};

	gather(&gathering, group, "");
}
