/* A gzip file, RFC 1952, written front to back, not made smaller: its readers need the form. */
#ifndef MEMTRACE_GZIP_H
#define MEMTRACE_GZIP_H

#include <stdio.h>

#include "base/chunks.h"
#include "heap/snapshot_layout.h"

struct gzip {
	FILE *out;
	struct layout_crc crc_table;
	uint32_t crc, len; /* of what was put in; len modulo 2^32 */
	uint8_t block[16384];
	struct chunks chunks; /* in it; points to this struct */
};

/* Failed writes are out's: ferror().  The struct stays where it is until the end. */
void gzip_begin(struct gzip *gzip, FILE *out);
void gzip_put(struct gzip *gzip, const void *bytes, size_t len);
void gzip_end(struct gzip *gzip);

#endif
