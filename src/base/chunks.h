/*
 * Bytes gathered into chunks of one size, so that what is done with them (a checksum, a head
 * before each, a write) is done once a chunk.
 */
#ifndef MEMTRACE_CHUNKS_H
#define MEMTRACE_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

struct chunks {
	uint8_t *at; /* the caller's memory */
	size_t size, used;
	/* Takes what is in it, and sets `used` to 0.  Called when it is full; for the rest, by
	 * the caller. */
	void (*full)(void *arg);
	void *arg;
};

void chunks_put(struct chunks *chunks, const void *bytes, size_t len);

#endif
