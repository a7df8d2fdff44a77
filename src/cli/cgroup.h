/* The members of a control group: which processes --cgroup and --unit mean. */
#ifndef MEMTRACE_CGROUP_H
#define MEMTRACE_CGROUP_H

#include "base/err.h"
#include "tracer/status.h"

enum { CGROUP_PATH = 4096 };

/* The directory of a group: PATH, or PATH below /sys/fs/cgroup.  -ENOENT: there is none. */
int cgroup_of_path(const char *path, char ret[CGROUP_PATH], struct err *err) MUST_CHECK;
/* The same of systemd's unit, ".service" where it has no other end. */
int cgroup_of_unit(const char *unit, char ret[CGROUP_PATH], struct err *err) MUST_CHECK;

/* Adds those that are in the group and in those below, each once; but us, and what we have
 * started. */
void cgroup_members(const char *group, struct tid_list *ret);

#endif
