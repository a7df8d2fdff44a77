/*
 * One ELF file, parsed from bytes that are never trusted: every offset, count
 * and length is checked before use, and a lie is an error about this file alone.
 *
 * Works from program headers and PT_DYNAMIC (a file may have no section headers:
 * sstrip); uses section headers where they are there (.symtab, .debug_frame,
 * .gnu_debuglink).  What is needed is copied into memory of ours when it is
 * first asked for; no file stays mapped (a truncated file must not be a SIGBUS).
 */
#ifndef MEMTRACE_IMAGE_H
#define MEMTRACE_IMAGE_H

#include "base/err.h"
#include "base/memory.h"
#include "base/types.h"

struct image;

struct image_segment { /* a PT_LOAD */
	uint64_t vaddr, offset, file_size, mem_size, align;
	uint32_t flags; /* PF_R | PF_W | PF_X */
};

struct image_symbol {
	const char *name; /* in the image's memory; without "@VERSION" */
	uint64_t value;	  /* virtual address in the file; Thumb bit removed */
	uint64_t size;
	uint8_t type; /* STT_* */
	uint8_t bind; /* STB_* */
	bool hidden; /* as local, though a linker may have left it STB_GLOBAL */
	bool thumb;
	bool dynamic; /* from .dynsym */
};

struct image_bytes {	      /* a piece of the file, with its address */
	const uint8_t *bytes; /* NULL: not there */
	size_t len;
	uint64_t vaddr; /* 0 for what is not loaded (.debug_frame) */
};

/*
 * file: the ELF file's bytes (address = offset); must stay valid until
 * image_close().  `loaded` = true: instead the bytes as mapped in a process,
 * address = virtual address + bias, from `start` = the ELF header's address
 * (then there are no section headers).
 */
int image_open(struct memory *file, struct image **ret, struct err *err) MUST_CHECK;
int image_open_loaded(struct memory *process, taddr_t start, struct image **ret,
		      struct err *err) MUST_CHECK;
void image_close(struct image *image); /* NULL is allowed */

uint16_t image_machine(const struct image *image); /* EM_* */
uint8_t image_class(const struct image *image);	   /* ELFCLASS* */
bool image_is_big_endian(const struct image *image);
/* Is it for another ABI, or kind of CPU, than its machine and class say?  Then no arch is its. */
bool image_is_other_abi(const struct image *image);
uint16_t image_type(const struct image *image);	   /* ET_EXEC, ET_DYN */
uint64_t image_entry(const struct image *image);   /* e_entry */

bool image_is_pie(struct image *image);			   /* DF_1_PIE: a program, not a library */

/* The PT_LOADs, ascending; *count of them. */
const struct image_segment *image_segments(const struct image *image, size_t *count);
/* How many bytes are code: of the executable sections; of the executable segments, in which
 * other things may lie too, where there are no section headers. */
uint64_t image_code_size(const struct image *image);
const char *image_interpreter(const struct image *image); /* PT_INTERP or NULL */
const char *image_soname(struct image *image);		  /* DT_SONAME or NULL */

/* The GNU build-id (PT_NOTE / SHT_NOTE): bytes and *len; NULL and 0 without one. */
const uint8_t *image_build_id(struct image *image, size_t *len);

/* .gnu_debuglink: file name, and its CRC; NULL without one. */
const char *image_debuglink(struct image *image, uint32_t *crc);

/* Every defined symbol, .dynsym first, then .symtab (aliases included).  Stops
 * when visit returns true. */
void image_for_each_symbol(struct image *image,
			   bool (*visit)(void *arg, const struct image_symbol *), void *arg);

/* A defined function by name (default version first).  False: not there. */
bool image_symbol_find(struct image *image, const char *name, struct image_symbol *ret);

/* The function that covers vaddr: by size, or the nearest below it within its
 * segment where sizes are 0.  False: none. */
bool image_symbol_at(struct image *image, uint64_t vaddr, struct image_symbol *ret);

/* The symbol whose address the dynamic linker puts at vaddr, a slot of the
 * global offset table; NULL: no relocation says so. */
const char *image_slot_name(struct image *image, uint64_t vaddr);

/* Is vaddr in a segment of code? */
bool image_is_code(const struct image *image, uint64_t vaddr);

/* Bytes of the file at a virtual address (what the linker wrote, before any
 * relocation or patch).  0, -EFAULT: not in a segment's file bytes. */
int image_read(struct image *image, uint64_t vaddr, void *buf, size_t len);

/* Does a relocation write the byte at vaddr, in code too?  Looks through all of them, in a file
 * that has some in its text. */
bool image_is_relocated(struct image *image, uint64_t vaddr);

/* The end of a segment's padding: how many bytes behind vaddr + file_size up to the
 * page end are mapped from this segment alone.  See hook/padding.c. */

/* Unwind sections; .bytes is NULL for what is not there.  Copied on first use. */
const struct image_bytes *image_eh_frame_hdr(struct image *image); /* PT_GNU_EH_FRAME */
const struct image_bytes *
image_eh_frame(struct image *image); /* by section, or through the hdr to the segment's end */
const struct image_bytes *image_debug_frame(struct image *image); /* not a compressed one */
const struct image_bytes *image_exidx(struct image *image); /* PT_ARM_EXIDX */

/* A section of the file by its name, copied for the caller to free; NULL: it is not there, or
 * compressed, or there is no memory. */
uint8_t *image_section_copy(struct image *image, const char *name, size_t *len);

/* What .debug_frame is once decompressed, for an image that has not been asked for it; the
 * bytes are copied.  False: no memory. */
bool image_debug_frame_give(struct image *image, const uint8_t *bytes, size_t len);

#endif
