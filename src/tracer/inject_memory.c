/*
 * A memory file (memfd_create(2)) is known by where it lies: all of them are on one file system, which
 * the kernel keeps for itself and which is mounted nowhere.  So the device that /proc/PID/maps says, and the
 * mount of /proc/PID/fdinfo (mnt_id, Linux 3.15), are those of one of our own.  A file of any other, whatever
 * its name, is not opened: it may be one of FUSE that answers to nobody.
 *
 * Who maps a file dies of SIGBUS behind its end, and its end is moved by whoever has it open to be written.
 * So the size is sealed (fcntl(2), F_ADD_SEALS; a memory file's since Linux 3.17) before anybody looks into it.
 *
 * A memtrace maps the memory of the process that it watches, too, and may be watched itself: its own mapping can
 * be written from the first byte on, which in a process with an agent is read alone.
 */
#include "tracer/inject_memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "region/shared.h"

#ifndef F_ADD_SEALS
#define F_ADD_SEALS (1024 + 9)
#define F_GET_SEALS (1024 + 10)
#endif

enum {
	SEALS = 1 | 2 | 4, /* F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW */
	INFO_ROOM = 256,   /* of fdinfo: mnt_id is its third line */
};

/* One of our own; -1.  (Where vm.memfd_noexec is 2, Linux 6.3, it has to say that it is no program.) */
static int own_file(void)
{
	int file = (int)syscall(SYS_memfd_create, "memtrace-like", 1u /* MFD_CLOEXEC */);

	return file >= 0 || errno != EACCES
		       ? file
		       : (int)syscall(SYS_memfd_create, "memtrace-like", 1u | 8u /* MFD_NOEXEC_SEAL */);
}

static bool is_named(const char *path)
{
	return !strncmp(path, SHARED_PATH, strlen(SHARED_PATH));
}

bool inject_is_memory(const struct mapping *mapping)
{
	struct stat stat;
	bool same = false;
	bool others = mapping->write && !mapping->offset; /* a memtrace's, which is watched */
	int own = mapping->shared && !others && is_named(mapping->path) ? own_file() : -1;

	if (own >= 0) {
		same = !fstat(own, &stat) && stat.st_dev == mapping->dev;
		close(own);
	}
	return same;
}

static const char *line_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? at + strlen(name) : NULL;
}

/* -1: it does not say, or is only there to be asked (inject_open_to_ask()). */
static long mount_of(pid_t pid, int descriptor)
{
	char path[64], text[INFO_ROOM] = "";
	const char *mount, *flags;
	ssize_t len;
	int file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, descriptor);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -1;
	len = read(file, text, sizeof(text) - 1);
	close(file);
	if (len <= 0)
		return -1;
	mount = line_of(text, "mnt_id:");
	flags = line_of(text, "flags:");
	return mount && flags && !(strtol(flags, NULL, 8) & O_PATH) ? strtol(mount, NULL, 10) : -1;
}

bool inject_is_descriptor(pid_t pid, int descriptor)
{
	char path[64], target[PATH_MAX] = "";
	long there, here = -1;
	int own;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, descriptor);
	if (readlink(path, target, sizeof(target) - 1) < 0 || !is_named(target))
		return false;
	own = own_file();
	if (own >= 0) {
		here = mount_of(getpid(), own);
		close(own);
	}
	there = mount_of(pid, descriptor);
	return here >= 0 && there == here;
}

int inject_find_descriptor(pid_t pid)
{
	struct dirent *entry;
	char path[64];
	int found = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && found < 0 && (entry = readdir(dir)))
		if (*entry->d_name != '.' && inject_is_descriptor(pid, atoi(entry->d_name)))
			found = atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return found;
}

int inject_open_to_ask(int file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return open(path, O_PATH | O_CLOEXEC);
}

int inject_seal(int file, uint64_t bytes, struct err *err)
{
	if (ftruncate(file, (off_t)bytes))
		return err_sys(err, -errno, "its memory can't be made large");
	if (fcntl(file, F_ADD_SEALS, SEALS))
		return err_sys(err, -errno, "its memory's size can't be sealed");
	return inject_is_sealed(file, bytes) ? 0 : err_set(err, -EBADF, "its memory's size was changed");
}

bool inject_is_sealed(int file, uint64_t bytes)
{
	int seals = fcntl(file, F_GET_SEALS);
	struct stat stat;

	return seals >= 0 && (seals & SEALS) == SEALS && !fstat(file, &stat) &&
	       (uint64_t)stat.st_size == bytes;
}
