/*
 * For memtrace itself: at its DIES_AT-th read of a stack the process DIES is killed, and is
 * gone before it is read.
 *
 *     LD_PRELOAD=dying_preload.so DIES=PID DIES_AT=N memtrace -p PID
 */
#include <signal.h>
#include <stdlib.h>
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
