/* Files and buffers as memory; reads are whole or fail. */
#include "base/memory.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int file_read(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct memory_file *file = (struct memory_file *)memory;
	size_t done = 0;

	if (addr > INT64_MAX || len > INT64_MAX - addr)
		return -EIO;
	while (done < len) {
		ssize_t n = pread(file->fd, (char *)buf + done, len - done, (off_t)(addr + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

void memory_file_init(struct memory_file *file, int fd)
{
	file->memory.read = file_read;
	file->fd = fd;
}

static int buffer_read(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct memory_buffer *buffer = (struct memory_buffer *)memory;

	if (addr < buffer->base || addr - buffer->base > buffer->len ||
	    len > buffer->len - (addr - buffer->base))
		return -EFAULT;
	memcpy(buf, buffer->bytes + (addr - buffer->base), len);
	return 0;
}

void memory_buffer_init(struct memory_buffer *buffer, taddr_t base, const void *bytes, size_t len)
{
	buffer->memory.read = buffer_read;
	buffer->base = base;
	buffer->bytes = bytes;
	buffer->len = len;
}
