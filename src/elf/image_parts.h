/*
 * The inside of struct image, shared by image_open.c (headers), image.c (segments, pieces),
 * image_notes.c (build-id, debuglink) and image_symbols.c.  For elf/ alone.
 */
#ifndef MEMTRACE_IMAGE_PARTS_H
#define MEMTRACE_IMAGE_PARTS_H

#include "base/cursor.h"
#include "base/vec.h"
#include "elf/image.h"

struct image_header { /* a program header that is no PT_LOAD */
	uint32_t type;
	uint64_t offset, vaddr, file_size, mem_size, align;
};

struct image_section {
	const char *name; /* in image->section_names; "" when it has none */
	uint32_t type, link;
	uint64_t flags, vaddr, offset, size;
};

struct image_piece {
	struct image_bytes bytes;
	bool asked;
};

struct image_table { /* .dynsym or .symtab */
	uint8_t *entries;
	size_t count;
	char *strings; /* strings[strings_len] is a NUL of ours */
	size_t strings_len;
	uint8_t *versions; /* .gnu.version, 2 bytes each; NULL without */
	size_t version_count;
	bool dynamic;
};

struct image_function {		      /* one entry of the index by address */
	uint64_t value, end, max_end; /* max_end: of this and all entries before */
	uint32_t index;
	bool dynamic;
};

struct image_symbols {
	bool asked_dynamic, asked_static, asked_index;
	struct image_table dynamic, fixed; /* .dynsym, .symtab */
	uint8_t *gnu_hash;		   /* the whole table: header, bloom, buckets, chains */
	size_t gnu_hash_len;
	char *soname; /* in dynamic.strings */
	VEC(struct image_function) index;
};

struct image {
	struct memory *memory;
	bool loaded;		/* memory is a process: address = vaddr + bias */
	bool stripped_to_debug; /* a debug file: its segments' bytes are elsewhere */
	taddr_t bias;
	uint8_t class;
	bool big; /* endian */
	bool other_abi;
	uint16_t machine, type;
	uint64_t entry;
	VEC(struct image_segment) segments;
	VEC(struct image_header) headers;
	VEC(struct image_section) sections;
	char *section_names;
	char *interpreter;
	bool asked_build_id, asked_debuglink;
	uint8_t build_id[64];
	size_t build_id_len;
	char *debuglink;
	uint32_t debuglink_crc;
	struct image_piece eh_frame_hdr, eh_frame, debug_frame, exidx;
	struct image_symbols symbols;
};

/* Over bytes of the file, in its byte order. */
static inline struct cursor image_cursor(const struct image *image, const void *bytes,
					 size_t len)
{
	return cursor_in_order(bytes, len, image->big);
}

/* An address- or offset-sized field. */
static inline uint64_t image_word(const struct image *image, struct cursor *c)
{
	return cursor_uint(c, image->class == 1 ? 4 : 8);
}

/* How many bytes the file has at vaddr and behind, up to its segment's end. */
uint64_t image_rest(const struct image *image, uint64_t vaddr);

/* len bytes of memory (file offset / process address) in memory of ours, with a
 * NUL behind them that isn't counted.  NULL: not there, too long, no memory. */
uint8_t *image_copy(struct image *image, taddr_t addr, uint64_t len);

/* The same by virtual address. */
uint8_t *image_copy_at(struct image *image, uint64_t vaddr, uint64_t len);

const struct image_header *image_header_find(const struct image *image, uint32_t type);
/* By name, or by type when name is NULL; never one without bytes in this file. */
const struct image_section *image_section_find(const struct image *image, const char *name,
					       uint32_t type);

void image_symbols_deinit(struct image_symbols *symbols);

#endif
