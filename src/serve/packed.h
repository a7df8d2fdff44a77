/* Sections that libdw can't read where they are, put into an ELF file in memory. */
#ifndef MEMTRACE_PACKED_H
#define MEMTRACE_PACKED_H

#include "serve/elffile.h"

struct packed_piece {
	const char *name; /* of the section it becomes */
	const uint8_t *bytes;
	size_t len;
	size_t plain; /* bytes it has when unpacked; zstd only */
	bool zstd;
};

struct packed {
	Elf *elf;
	uint8_t *image;
};

/* -ENOMEM; -ENOSYS: there is no libzstd; -EINVAL: what was compressed is broken. */
int packed_create(const struct packed_piece *pieces, size_t count, struct packed *ret);
void packed_deinit(struct packed *packed);

/* Whether what is compressed in the file may be unpacked: a few KB can stand for terabytes.
 * -EFBIG with the reason. */
int packed_check(const struct elffile *file, struct err *err) MUST_CHECK;

/* What libdw is to read for the file, the file's: its own ELF, or, where zstd has compressed
 * sections that libelf can't unpack, one in memory.  NULL, with the reason, for what can't be
 * read or may not be unpacked. */
Elf *packed_debug(struct elffile *file, struct err *err);

/* Loads libzstd, if it is there: for a process that can't open files later. */
void packed_prepare(void);

#endif
