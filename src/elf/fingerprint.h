/*
 * What an ELF file without a build-id is recognised by: everything that stripping leaves
 * alone.  Both sides of the wire make it with this code; doc/protocol.md gives the
 * algorithm.
 */
#ifndef MEMTRACE_FINGERPRINT_H
#define MEMTRACE_FINGERPRINT_H

#include "elf/image.h"

enum { FINGERPRINT_BYTES = 40, FINGERPRINT_VERSION = 1, FINGERPRINT_SEGMENTS = 16 };

/* Little-endian: version u8, ELF class u8, machine u16, type u16, zero u16, entry u64,
 * then the hashes of the segments, the dynamic symbols, and the code, u64 each. */
struct fingerprint {
	uint8_t bytes[FINGERPRINT_BYTES];
};

/* 0, or -EFAULT: the code can't be read (a pure debug file), or its names are without end. */
int fingerprint_make(struct image *image, struct fingerprint *ret);

/* The hash of the segments alone: cheap, and the same in every copy of a file. */
uint64_t fingerprint_segments(const struct image *image);

/* In words what differs ("other dynamic symbols"); NULL: nothing.  Bytes of a peer, too. */
const char *fingerprint_difference(const uint8_t *mine, size_t mine_len, const uint8_t *other,
				   size_t other_len);

#endif
