/*
 * Limits of memory:
 *
 *   RLIMIT_AS      of the address space: /proc/PID/limits and the first number of statm, in pages
 *                  (getrlimit(2), proc(5))
 *   memory.max     of cgroup v2, of the process' own group and of each above it, against
 *                  memory.current (Documentation/admin-guide/cgroup-v2.rst)
 *   memory.limit_in_bytes, memory.usage_in_bytes   the same of v1, below its own "memory"
 *                  (cgroup-v1/memory.rst); nearly 2^63 where there is none
 *   inactive_file  in memory.stat, total_inactive_file of v1: of what is in use, what goes at once
 *
 * In a container the groups that /proc/PID/cgroup names may not be seen: then only the root of
 * what is seen, which is the container's own.
 */
#include "tracer/memory_limit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_LIMIT (1ull << 62) /* and beyond: RLIM_INFINITY, too, is none */

static bool read_number(const char *folder, const char *name, uint64_t *ret)
{
	char path[PATH_MAX], text[32] = "";
	FILE *in;
	char *end;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	in = fopen(path, "re");
	if (!in)
		return false;
	if (!fgets(text, sizeof(text), in))
		text[0] = '\0';
	fclose(in);
	*ret = strtoull(text, &end, 10);
	return end != text; /* ("max") */
}

/* Behind the name at a line's begin in such a file; 0. */
static uint64_t number_of(FILE *in, const char *name)
{
	const size_t len = strlen(name);
	uint64_t ret = 0;
	char line[256];

	while (in && !ret && fgets(line, sizeof(line), in))
		if (!strncmp(line, name, len))
			ret = strtoull(line + len, NULL, 10);
	if (in)
		fclose(in);
	return ret;
}

/* What a group has in use that goes as soon as it is needed. */
static uint64_t read_dropped(const char *folder, bool v2)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/memory.stat", folder);
	return number_of(fopen(path, "re"), v2 ? "inactive_file " : "total_inactive_file ");
}

static void consider(uint64_t bytes, uint64_t used, struct memory_limit *ret)
{
	uint64_t left = used < bytes ? bytes - used : 0;

	if (bytes && bytes < NO_LIMIT && (!ret->bytes || left < ret->left))
		*ret = (struct memory_limit){bytes, left};
}

static void read_group(const char *folder, bool v2, struct memory_limit *ret)
{
	uint64_t bytes, used, dropped;

	if (!read_number(folder, v2 ? "memory.max" : "memory.limit_in_bytes", &bytes) ||
	    !read_number(folder, v2 ? "memory.current" : "memory.usage_in_bytes", &used))
		return;
	dropped = bytes < NO_LIMIT ? read_dropped(folder, v2) : 0;
	consider(bytes, dropped < used ? used - dropped : 0, ret);
}

/* The group and all above it, up to and with `root`. */
static void read_groups(const char *root, const char *group, bool v2, struct memory_limit *ret)
{
	char folder[PATH_MAX];
	size_t len = strlen(root);
	char *slash;

	if (snprintf(folder, sizeof(folder), "%s%s", root, group) >= (int)sizeof(folder))
		return;
	do {
		read_group(folder, v2, ret);
		slash = strrchr(folder + len, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
}

/* A line of /proc/PID/cgroup: "0::/a/b" of v2, "5:cpu,memory:/a/b" of v1. */
static void take_group(char *line, const char *cgroups, struct memory_limit *ret)
{
	char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
	char root[PATH_MAX];

	if (!group)
		return;
	*group++ = '\0';
	group[strcspn(group, "\n")] = '\0';
	if (!strcmp(line, "0:"))
		read_groups(cgroups, group, true, ret);
	for (char *rest, *name = strtok_r(names + 1, ",", &rest); name;
	     name = strtok_r(NULL, ",", &rest)) {
		if (strcmp(name, "memory"))
			continue;
		snprintf(root, sizeof(root), "%s/memory", cgroups);
		read_groups(root, group, false, ret);
	}
}

static FILE *open_proc(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return fopen(path, "re");
}

static void read_address_space(pid_t pid, struct memory_limit *ret)
{
	FILE *limits = open_proc(pid, "limits"), *statm = open_proc(pid, "statm");
	static const char what[] = "Max address space ";
	uint64_t bytes = 0, page = (uint64_t)sysconf(_SC_PAGESIZE);
	char line[256];

	while (limits && !bytes && fgets(line, sizeof(line), limits))
		if (!strncmp(line, what, strlen(what))) /* ("unlimited" is no number: 0) */
			bytes = strtoull(line + strlen(what), NULL, 10);
	if (bytes && statm && fgets(line, sizeof(line), statm))
		consider(bytes, strtoull(line, NULL, 10) * page, ret);
	if (limits)
		fclose(limits);
	if (statm)
		fclose(statm);
}

struct memory_limit memory_limit_read(pid_t pid, const char *cgroups)
{
	struct memory_limit limit = {0};
	FILE *groups = open_proc(pid, "cgroup");
	char line[PATH_MAX];

	read_address_space(pid, &limit);
	while (groups && fgets(line, sizeof(line), groups))
		take_group(line, cgroups, &limit);
	if (groups)
		fclose(groups);
	return limit;
}

uint64_t memory_left(pid_t pid)
{
	struct memory_limit limit = memory_limit_read(pid, "/sys/fs/cgroup");
	uint64_t free = number_of(fopen("/proc/meminfo", "re"), "MemAvailable:") << 10;

	free = free ? free : UINT64_MAX;
	return limit.bytes && limit.left < free ? limit.left : free;
}
