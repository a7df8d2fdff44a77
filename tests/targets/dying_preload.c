/*
 * For memtrace itself.  At its DIES_AT-th read of a stack the process DIES is killed, and is
 * gone before it is read.  The status of the thread VANISHES is not there, as if it had ended
 * since it was listed.
 *
 *     LD_PRELOAD=dying_preload.so DIES=PID DIES_AT=N memtrace -p PID
 *     LD_PRELOAD=dying_preload.so VANISHES=TID memtrace -p PID
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK_READ = 2048 };

static int is_the_one(size_t len)
{
	static int reads;
	const char *at = getenv("DIES_AT");

	return len == STACK_READ && at && ++reads == atoi(at);
}

ssize_t pread64(int fd, void *buf, size_t len, off_t offset)
{
	if (is_the_one(len)) {
		kill(atoi(getenv("DIES")), SIGKILL);
		while (syscall(SYS_pread64, fd, buf, len, offset) > 0)
			usleep(1000);
	}
	return syscall(SYS_pread64, fd, buf, len, offset);
}

ssize_t pread(int fd, void *buf, size_t len, off_t offset) __attribute__((alias("pread64")));

int open64(const char *path, int flags, ...)
{
	const char *tid = getenv("VANISHES");
	char end[64];
	size_t len = strlen(path);
	va_list args;
	int mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	snprintf(end, sizeof(end), "/task/%s/status", tid ? tid : "");
	if (tid && len >= strlen(end) && !strcmp(path + len - strlen(end), end)) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) __attribute__((alias("open64")));
