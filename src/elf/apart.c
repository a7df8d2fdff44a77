/*
 * One question, one answer, over a pair of sockets that keep messages apart:
 *
 *    {what, handle, offset, len} path  -->  open, pread, close, in a process of its own
 *    {result, stat} bytes              <--
 *
 * That process is nobody's child, as its parent has ended, and holds nothing of ours but the
 * socket: neither terminal nor pipe.  So whoever waits for our end does not wait for it.  Also
 * the closing of a file may hang (FUSE_FLUSH, and that uninterruptibly: fuse_flush() in
 * fs/fuse/file.c), at exit before the kernel lets tracees go; so such a file is never open in
 * our own process.
 *
 * Between fork and end it calls nothing that allocates: it may be forked by one of several
 * threads.
 */
#include "elf/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"

enum { PIECE = 64 * 1024, LOOK_MS = 50, PATH_LEN = 4300 /* PATH_MAX below /proc/PID/root */ };

enum what { OPEN, READ, CLOSE, FETCH };

struct question {
	enum what what;
	int handle, flags;
	pid_t pid;
	uint64_t offset;
	uint32_t len;
};

struct answer {
	int64_t result; /* or -errno */
	struct stat stat;
};

/* ---- the process apart --------------------------------------------------- */

static int64_t open_file(const char *path, int flags, struct stat *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);

	if (fd < 0)
		return -errno;
	if (fstat(fd, ret) < 0 || !S_ISREG(ret->st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

/* The system call waits for a page server; the file does without permission.  (The kernel
 * lets only the former wait: handle_userfault() in fs/userfaultfd.c.) */
static int64_t fetch(const struct question *question)
{
	uint8_t byte;
	struct iovec here = {&byte, 1};
	struct iovec there = {(void *)(uintptr_t)question->offset, 1};

	if (process_vm_readv(question->pid, &here, 1, &there, 1, 0) == 1 ||
	    pread(question->handle, &byte, 1, (off_t)question->offset) == 1)
		return 0;
	return errno ? -errno : -EFAULT;
}

static int64_t perform(const struct question *question, const char *path, void *bytes,
		       struct stat *stat)
{
	ssize_t n;

	errno = 0;
	switch (question->what) {
	case OPEN:
		return open_file(path, question->flags, stat);
	case READ:
		n = pread(question->handle, bytes, question->len, (off_t)question->offset);
		return n < 0 ? -errno : n;
	case CLOSE:
		return close(question->handle);
	case FETCH:
		return fetch(question);
	}
	return -EINVAL;
}

static void __attribute__((noreturn)) serve(int fd)
{
	static uint8_t bytes[PIECE];
	static char path[PATH_LEN];
	struct question question;
	struct answer answer;
	struct iovec in[] = {{&question, sizeof(question)}, {path, sizeof(path) - 1}};
	struct iovec out[] = {{&answer, sizeof(answer)}, {bytes, 0}};
	ssize_t n;

	while ((n = readv(fd, in, 2)) >= (ssize_t)sizeof(question) || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		path[n - (ssize_t)sizeof(question)] = 0;
		memset(&answer, 0, sizeof(answer));
		answer.result = perform(&question, path, bytes, &answer.stat);
		out[1].iov_len = question.what == READ && answer.result > 0
					 ? (size_t)answer.result
					 : 0;
		if (writev(fd, out, 2) < 0)
			break;
	}
	_exit(0);
}

/* Twice: the parent of what serves has ended.  keep: a descriptor that it may use. */
static pid_t fork_apart(int fd, int keep)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	pid = fork();
	if (pid)
		_exit(pid < 0);
	setsid();
	prctl(PR_SET_NAME, "memtrace-read");
	for (int signo = 1; signo < 32; signo++)
		signal(signo, SIG_IGN);
	descriptors_close_but(fd, keep);
	serve(fd);
}

static int start(struct apart *apart, int keep)
{
	int ends[2], status = 1;
	pid_t pid;

	if (apart->silent)
		return -ETIMEDOUT;
	if (apart->fd >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	pid = fork_apart(ends[1], keep);
	close(ends[1]);
	if (pid > 0)
		while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
			;
	if (status) {
		close(ends[0]);
		return -EAGAIN;
	}
	apart->fd = ends[0];
	return 0;
}

/* ---- our side -------------------------------------------------------------- */

void apart_init(struct apart *ret, unsigned limit_ms, const atomic_bool *hurry)
{
	*ret = (struct apart){
		.fd = -1, .limit_ms = limit_ms, .hurry = hurry, .block_of = -1};
}

void apart_deinit(struct apart *apart)
{
	if (apart->fd >= 0)
		close(apart->fd);
	apart->fd = -1;
}

static int give_up(struct apart *apart)
{
	apart_deinit(apart);
	apart->silent = true;
	return -ETIMEDOUT;
}

/* False: no answer has come in time. */
static bool await(const struct apart *apart)
{
	struct pollfd fd = {apart->fd, POLLIN, 0};
	int64_t end = clock_ms() + apart->limit_ms;

	for (;;) {
		int64_t left = end - clock_ms();

		if (poll(&fd, 1, left < 0 ? 0 : left < LOOK_MS ? (int)left : LOOK_MS) > 0)
			return true;
		if (left <= 0 || (apart->hurry && atomic_load(apart->hurry)))
			return false;
	}
}

/* The result, with its bytes in buf; -ETIMEDOUT from then on when there is none. */
static int64_t ask(struct apart *apart, const struct question *question, const char *path,
		   struct answer *ret, void *buf)
{
	struct iovec out[] = {{(void *)question, sizeof(*question)},
			      {(void *)path, path ? strlen(path) : 0}};
	struct iovec in[] = {{ret, sizeof(*ret)}, {buf, question->len}};
	struct msghdr message = {.msg_iov = out, .msg_iovlen = 2};

	if (sendmsg(apart->fd, &message, MSG_NOSIGNAL) < 0 || !await(apart))
		return give_up(apart);
	if (readv(apart->fd, in, 2) < (ssize_t)sizeof(*ret))
		return give_up(apart); /* it was killed */
	return ret->result;
}

int apart_open(struct apart *apart, const char *path, int flags, struct stat *ret)
{
	struct question question = {.what = OPEN, .flags = flags};
	struct answer answer;
	int rc = start(apart, -1);

	if (rc)
		return rc;
	if (strlen(path) >= PATH_LEN)
		return -ENAMETOOLONG;
	rc = (int)ask(apart, &question, path, &answer, NULL);
	if (rc >= 0)
		*ret = answer.stat;
	return rc;
}

void apart_close(struct apart *apart, int handle)
{
	struct question question = {.what = CLOSE, .handle = handle};
	struct answer answer;

	if (apart->block_of == handle)
		apart->block_of = -1;
	if (apart->fd >= 0)
		ask(apart, &question, NULL, &answer, NULL);
}

ssize_t apart_read(struct apart *apart, int handle, uint64_t offset, void *buf, size_t len)
{
	struct question question = {.what = READ,
				    .handle = handle,
				    .offset = offset,
				    .len = len < PIECE ? (uint32_t)len : PIECE};
	struct answer answer;

	if (apart->fd < 0)
		return -ETIMEDOUT;
	return (ssize_t)ask(apart, &question, NULL, &answer, buf);
}

int apart_fetch(struct apart *apart, pid_t pid, int memory, taddr_t addr)
{
	struct question question = {
		.what = FETCH, .pid = pid, .handle = memory, .offset = addr};
	struct answer answer;
	int rc = start(apart, memory);

	return rc ? rc : (int)ask(apart, &question, NULL, &answer, NULL);
}

/* ---- as memory --------------------------------------------------------------- */

/* What is at addr of the block; it is read if it is not there. */
static ssize_t block_read(struct apart_file *file, taddr_t addr, void *buf, size_t len)
{
	struct apart *apart = file->apart;
	size_t skip = (size_t)(addr % sizeof(apart->block));
	ssize_t n;

	if (apart->block_of != file->handle || apart->block_at != addr - skip) {
		apart->block_of = -1;
		n = apart_read(apart, file->handle, addr - skip, apart->block,
			       sizeof(apart->block));
		if (n < 0)
			return n;
		apart->block_of = file->handle;
		apart->block_at = addr - skip;
		apart->block_len = (size_t)n;
	}
	if (skip >= apart->block_len)
		return -EIO;
	if (len > apart->block_len - skip)
		len = apart->block_len - skip;
	memcpy(buf, apart->block + skip, len);
	return (ssize_t)len;
}

static int file_read(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct apart_file *file = (struct apart_file *)memory;

	for (size_t done = 0; done < len;) {
		size_t left = len - done;
		ssize_t n = left < sizeof(file->apart->block)
				    ? block_read(file, addr + done, (char *)buf + done, left)
				    : apart_read(file->apart, file->handle, addr + done,
						 (char *)buf + done, left);

		if (n <= 0)
			return n ? (int)n : -EIO;
		done += (size_t)n;
	}
	return 0;
}

void apart_file_init(struct apart_file *file, struct apart *apart, int handle)
{
	*file = (struct apart_file){
		.memory.read = file_read, .apart = apart, .handle = handle};
}
