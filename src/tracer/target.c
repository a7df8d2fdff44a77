/* Target memory, by a file that does not wait. */
#include "tracer/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "base/order.h"
#include "tracer/status.h"

enum { FETCH_MS = 500 };

static int memory_of_target(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	return target_read((struct target *)memory, addr, buf, len);
}

void target_of_file(struct target *ret, int fd)
{
	*ret = (struct target){.memory.read = memory_of_target, .fd = fd, .pages = -1};
	apart_init(&ret->apart, FETCH_MS, NULL);
}

int target_open(struct target *ret, pid_t pid, struct err *err)
{
	char path[64];

	target_of_file(ret, -1);
	ret->pid = pid;
	if (!pid) /* tracee_alive() has found none */
		return err_set(err, -ESRCH, "the process has ended");
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

void target_close(struct target *target)
{
	if (target->fd >= 0)
		close(target->fd);
	if (target->pages >= 0)
		close(target->pages);
	target->fd = target->pages = -1;
	apart_deinit(&target->apart);
}

/* /proc/PID/pagemap, a word a page: Documentation/admin-guide/mm/pagemap.rst. */
#define PAGE_PRESENT (1ull << 63)
#define PAGE_SWAPPED (1ull << 62)

static bool pages_open(struct target *target)
{
	char path[64];

	if (target->pages < 0) {
		snprintf(path, sizeof(path), "/proc/%d/pagemap", target->pid);
		target->pages = open(path, O_RDONLY | O_CLOEXEC);
	}
	return target->pages >= 0;
}

int target_fetch(struct target *target, taddr_t addr)
{
	enum { UNANSWERED_MOST = 3 };
	int rc;

	if (target->unanswered >= UNANSWERED_MOST)
		return -ETIMEDOUT;
	rc = apart_fetch(&target->apart, target->pid, target->fd, addr);
	if (rc == -ETIMEDOUT) { /* who waits for this page waits for no other */
		target->unanswered++;
		apart_init(&target->apart, target->apart.limit_ms, target->apart.hurry);
	}
	return rc;
}

static bool has_far(const struct target *target, taddr_t addr, size_t len)
{
	const struct ranges *far = target->far;
	size_t low = order_count(far ? far->len : 0, i, far->at[i].end <= addr);

	return far && low < far->len && far->at[low].begin < addr + len;
}

static bool is_present(struct target *target, taddr_t page, taddr_t size)
{
	uint64_t word = 0;

	return pages_open(target) && pread(target->pages, &word, sizeof(word),
					   (off_t)(page / size * sizeof(word))) == sizeof(word) &&
	       word & PAGE_PRESENT;
}

/* How many of len bytes at addr are before the first page of a far file that does not come. */
static size_t before_missing(struct target *target, taddr_t addr, size_t len)
{
	taddr_t size = (taddr_t)sysconf(_SC_PAGESIZE), end = addr + len;

	for (taddr_t page = addr & ~(size - 1); page < end; page += size)
		if (has_far(target, page, 1) && !is_present(target, page, size) &&
		    target_fetch(target, page))
			return page > addr ? (size_t)(page - addr) : 0;
	return len;
}

ssize_t target_read_some(struct target *target, taddr_t addr, void *buf, size_t len)
{
	ssize_t n;

	if (has_far(target, addr, len)) {
		len = before_missing(target, addr, len);
		if (!len)
			return -EIO;
	}
	n = pread(target->fd, buf, len, (off_t)addr);
	return n > 0 ? n : n < 0 ? -errno : -EFAULT;
}

/* How many of len bytes at addr are before the first page that is swapped out. */
static size_t before_swapped(struct target *target, taddr_t addr, size_t len)
{
	taddr_t size = (taddr_t)sysconf(_SC_PAGESIZE), first = addr / size;
	uint64_t pages[16];
	size_t count = (size_t)((addr + len - 1) / size - first) + 1;
	ssize_t n;

	if (!pages_open(target))
		return len;
	if (count > ARRAY_SIZE(pages)) {
		count = ARRAY_SIZE(pages);
		len = (size_t)((first + count) * size - addr);
	}
	n = pread(target->pages, pages, count * sizeof(*pages),
		  (off_t)(first * sizeof(*pages)));
	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*pages); i++)
		if (pages[i] & PAGE_SWAPPED)
			return i ? (size_t)((first + i) * size - addr) : 0;
	return len;
}

ssize_t target_read_stopped(struct target *target, taddr_t addr, void *buf, size_t len)
{
	size_t there = before_swapped(target, addr, len);

	return there ? target_read_some(target, addr, buf, there) : -EAGAIN;
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
	if (has_far(target, addr, len) && before_missing(target, addr, len) < len)
		return -EIO;
	if (target->fd >= 0 && pwrite(target->fd, buf, len, (off_t)addr) == (ssize_t)len)
		return 0;
	return poke(target, addr, buf, len);
}
