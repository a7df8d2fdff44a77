/*
 * A cgroup may be frozen itself, or one that it is in.  The files, cgroups(7), where
 * distributions mount them:
 *
 *   version 1   /sys/fs/cgroup/freezer/PATH/freezer.self_freezing is 1; the process is in D
 *   version 2   /sys/fs/cgroup[/unified]/PATH/cgroup.freeze is 1; it looks as if it slept
 *
 * PATH is in /proc/PID/cgroup: "6:freezer:/PATH", "0::/PATH".
 */
#include "tracer/frozen.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/scope.h"
#include "base/types.h"

static const struct version {
	const char *key, *mount, *is_frozen, *file, *thaw;
} versions[] = {
	{":freezer:", "/sys/fs/cgroup/freezer", "freezer.self_freezing", "freezer.state",
	 "THAWED"},
	{"0::", "/sys/fs/cgroup", "cgroup.freeze", "cgroup.freeze", "0"},
	{"0::", "/sys/fs/cgroup/unified", "cgroup.freeze", "cgroup.freeze", "0"},
};

static ssize_t text_read(const char *name, char *buf, size_t size)
{
	scope_close int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[len > 0 ? len : 0] = 0;
	return len;
}

/* path: of the process' cgroup; from there upwards, and cut so. */
static bool find_up(const char *root, const struct version *version, char *path,
		    struct frozen *ret)
{
	char name[400], text[8];
	char *slash;

	while ((slash = strrchr(path, '/')) && slash[1]) {
		snprintf(name, sizeof(name), "%s%s%s/%s", root, version->mount, path,
			 version->is_frozen);
		if (text_read(name, text, sizeof(text)) > 0 && text[0] == '1') {
			snprintf(ret->file, sizeof(ret->file), "%s%s/%s", version->mount, path,
				 version->file);
			ret->thaw = version->thaw;
			return true;
		}
		*slash = 0;
	}
	return false;
}

bool frozen_find(const char *root, pid_t pid, struct frozen *ret)
{
	char name[400], text[4096], path[256];

	snprintf(name, sizeof(name), "%s/proc/%d/cgroup", root, pid);
	if (text_read(name, text, sizeof(text)) <= 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		const char *at = strstr(text, versions[i].key);

		if (!at)
			continue;
		at += strlen(versions[i].key);
		snprintf(path, sizeof(path), "%.*s", (int)strcspn(at, "\n"), at);
		if (find_up(root, &versions[i], path, ret))
			return true;
	}
	return false;
}
