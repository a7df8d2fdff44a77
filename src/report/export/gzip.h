/* A gzip file, RFC 1952, written front to back. */
#ifndef MEMTRACE_GZIP_H
#define MEMTRACE_GZIP_H

#include <stdio.h>

#include "base/chunks.h"
#include "heap/snapshot_layout.h"

enum { GZIP_HASH_BITS = 13 };

struct gzip {
	FILE *out;
	uint64_t bits; /* of a byte that is not full yet */
	unsigned bit_count;
	struct layout_crc crc_table;
	uint32_t crc, len; /* of what was put in; len modulo 2^32 */
	uint8_t block[32768];
	uint16_t seen[1 << GZIP_HASH_BITS]; /* where in it bytes were, plus 1, by their hash; 0: nowhere */
	struct chunks chunks; /* in it; points to this struct */
};

/* Failed writes are out's: ferror().  The struct stays where it is until the end. */
void gzip_begin(struct gzip *gzip, FILE *out);
void gzip_put(struct gzip *gzip, const void *bytes, size_t len);
void gzip_end(struct gzip *gzip);

/* The same, by a stream whose fclose() is the end; out stays open.  NULL: memory is short. */
FILE *gzip_stream(struct gzip *gzip, FILE *out);

#endif
