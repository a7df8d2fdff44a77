/*
 * Which file systems answer by themselves, and which depend on somebody: a server on the network, a
 * process (FUSE), the host of a virtual machine.  Found out without asking them.
 */
#ifndef MEMTRACE_MOUNTS_H
#define MEMTRACE_MOUNTS_H

#include "base/types.h"
#include "base/vec.h"

struct mount {
	uint64_t dev;
	bool local;
	const char *point;
};

struct mounts {
	VEC(struct mount) list; /* a later one covers an earlier one at the same point */
	char *text;		/* owns the strings */
	bool known;		/* false: it can't be read; nothing counts as local */
};

/* As the process sees them: /proc/PID/mountinfo.  That it can't be read is no error. */
void mounts_read(int pid, struct mounts *ret);
/* Parses text as the kernel writes it, taken over (malloc). */
void mounts_parse(char *text, struct mounts *ret);
void mounts_deinit(struct mounts *mounts);

/* Can a file of this device (0: not known) be opened by this path without waiting for anybody: is
 * its file system local, and every other that the path leads through? */
bool mounts_are_local(const struct mounts *mounts, uint64_t dev, const char *path);

#endif
