/*
 * Bytes at addresses: the one interface through which ELF images, unwind data
 * and stacks are read, so that the code above it is tested without a process.
 * Implementations: a file (address = file offset), a tracee, a recorded case.
 */
#ifndef MEMTRACE_MEMORY_H
#define MEMTRACE_MEMORY_H

#include "base/types.h"

struct memory {
	/* Reads exactly len bytes at addr into buf.  0, or -errno with buf
	 * undefined (-EIO, -EFAULT: nothing is there). */
	int (*read)(struct memory *memory, taddr_t addr, void *buf, size_t len);
};

static inline int memory_read(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	return memory->read(memory, addr, buf, len);
}

/* A file descriptor as memory: address = file offset.  The caller keeps fd. */
struct memory_file {
	struct memory memory;
	int fd;
};
void memory_file_init(struct memory_file *file, int fd);

/* A buffer as memory that begins at address base.  The caller keeps bytes. */
struct memory_buffer {
	struct memory memory;
	taddr_t base;
	const uint8_t *bytes;
	size_t len;
};
void memory_buffer_init(struct memory_buffer *buffer, taddr_t base, const void *bytes, size_t len);

#endif
