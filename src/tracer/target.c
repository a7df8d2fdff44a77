/* Target memory by the cheapest way that works. */
#include "tracer/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tracer/status.h"

static int memory_of_target(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	return target_read((struct target *)memory, addr, buf, len);
}

int target_open(struct target *ret, pid_t pid, struct err *err)
{
	char path[64];

	memset(ret, 0, sizeof(*ret));
	ret->memory.read = memory_of_target;
	ret->pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	ret->fd = open(path, O_RDWR | O_CLOEXEC);
	if (ret->fd < 0 && errno == EROFS) /* a sandbox's /proc: written to by poke() */
		ret->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (ret->fd < 0)
		return err_sys(err, -errno, "cannot open %s", path);
	return 0;
}

/* The thread can't be another one by now, as it is ours to reap. */
int target_open_traced(struct target *ret, pid_t pid, struct err *err)
{
	struct status status;
	int rc = target_open(ret, pid, err);

	if (rc)
		return rc;
	rc = status_read(pid, 0, &status);
	if (!rc && status.tracer == gettid())
		return 0;
	target_close(ret);
	return err_set(err, -ESRCH, "/proc/%d is not the process %d that is traced", pid, pid);
}

void target_of_file(struct target *ret, int fd)
{
	*ret = (struct target){.memory.read = memory_of_target, .fd = fd, .no_vm = true};
}

void target_close(struct target *target)
{
	if (target->fd >= 0)
		close(target->fd);
	target->fd = -1;
}

ssize_t target_read_some(struct target *target, taddr_t addr, void *buf, size_t len)
{
	ssize_t n;

	if (!target->no_vm) {
		struct iovec here = {buf, len};
		struct iovec there = {(void *)(uintptr_t)addr, len};

		n = process_vm_readv(target->pid, &here, 1, &there, 1, 0);
		if (n > 0)
			return n;
		/* ESRCH: that thread has ended; the descriptor holds the memory still */
		if (n < 0 && errno != ENOSYS && errno != EPERM && errno != ESRCH)
			return -errno;
		target->no_vm = n < 0;
	}
	n = pread(target->fd, buf, len, (off_t)addr);
	return n > 0 ? n : n < 0 ? -errno : -EFAULT;
}

int target_read(struct target *target, taddr_t addr, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n =
			target_read_some(target, addr + done, (char *)buf + done, len - done);
		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	return 0;
}

/* Word by word through ptrace: the way that no mount option or LSM closes while
 * the tracing itself is allowed. */
static int poke(struct target *target, taddr_t addr, const uint8_t *bytes, size_t len)
{
	while (len) {
		taddr_t base = addr & ~(taddr_t)(sizeof(long) - 1);
		size_t skip = (size_t)(addr - base);
		size_t n = sizeof(long) - skip < len ? sizeof(long) - skip : len;
		long word;

		if (target_read(target, base, &word, sizeof(word)))
			return -EFAULT;
		memcpy((char *)&word + skip, bytes, n);
		/* As pointers: ptrace() takes what follows the pid from wherever varargs lie. */
		if (ptrace(PTRACE_POKEDATA, target->pid, (void *)(uintptr_t)base, (void *)word) < 0)
			return -errno;
		addr += n;
		bytes += n;
		len -= n;
	}
	return 0;
}

int target_write(struct target *target, taddr_t addr, const void *buf, size_t len)
{
	if (target->fd >= 0 && pwrite(target->fd, buf, len, (off_t)addr) == (ssize_t)len)
		return 0;
	return poke(target, addr, buf, len);
}
