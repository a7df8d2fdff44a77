/*
 * An open ELF file: its segments, and copies of its pieces.
 *
 * A piece is asked for by offset or address, refused when longer than LIMIT_PIECE, its last byte
 * read before memory is spent on it (a 100-byte file can't make us allocate a gigabyte), then
 * copied once and kept.  System V ABI, chapters 4 and 5.
 */
#include "elf/image.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elf/image_parts.h"

enum { LIMIT_PIECE = 1 << 30 };

uint8_t *image_copy(struct image *image, taddr_t addr, uint64_t len)
{
	uint8_t *bytes, last;

	if (len == 0 || len > LIMIT_PIECE || addr > UINT64_MAX - len ||
	    memory_read(image->memory, addr + len - 1, &last, 1))
		return NULL;
	bytes = malloc(len + 1);
	if (!bytes || memory_read(image->memory, addr, bytes, len)) {
		free(bytes);
		return NULL;
	}
	bytes[len] = 0;
	return bytes;
}

/* The segment whose file bytes contain vaddr. */
static const struct image_segment *segment_at(const struct image *image, uint64_t vaddr)
{
	for (size_t i = 0; i < image->segments.len; i++) {
		const struct image_segment *s = &image->segments.at[i];

		if (vaddr >= s->vaddr && vaddr - s->vaddr < s->file_size)
			return s;
	}
	return NULL;
}

uint64_t image_rest(const struct image *image, uint64_t vaddr)
{
	const struct image_segment *s = segment_at(image, vaddr);

	return s && !image->stripped_to_debug ? s->file_size - (vaddr - s->vaddr) : 0;
}

/* Where vaddr is in image->memory. */
static taddr_t place_of(const struct image *image, uint64_t vaddr)
{
	const struct image_segment *s = segment_at(image, vaddr);

	return image->loaded ? vaddr + image->bias : s->offset + (vaddr - s->vaddr);
}

uint8_t *image_copy_at(struct image *image, uint64_t vaddr, uint64_t len)
{
	if (len == 0 || len > image_rest(image, vaddr))
		return NULL;
	return image_copy(image, place_of(image, vaddr), len);
}

int image_read(struct image *image, uint64_t vaddr, void *buf, size_t len)
{
	if (len > image_rest(image, vaddr))
		return -EFAULT;
	if (len == 0)
		return 0;
	return memory_read(image->memory, place_of(image, vaddr), buf, len) ? -EFAULT : 0;
}

const struct image_header *image_header_find(const struct image *image, uint32_t type)
{
	for (size_t i = 0; i < image->headers.len; i++) {
		if (image->headers.at[i].type == type)
			return &image->headers.at[i];
	}
	return NULL;
}

const struct image_section *image_section_find(const struct image *image, const char *name,
					       uint32_t type)
{
	for (size_t i = 0; i < image->sections.len; i++) {
		const struct image_section *s = &image->sections.at[i];

		if (s->type != SHT_NOBITS && (name ? !strcmp(s->name, name) : s->type == type))
			return s;
	}
	return NULL;
}

bool image_is_code(const struct image *image, uint64_t vaddr)
{
	for (size_t i = 0; i < image->segments.len; i++) {
		const struct image_segment *s = &image->segments.at[i];

		if ((s->flags & PF_X) && vaddr >= s->vaddr && vaddr - s->vaddr < s->mem_size)
			return true;
	}
	return false;
}

uint64_t image_code_size(const struct image *image)
{
	uint64_t sections = 0, segments = 0;

	for (size_t i = 0; i < image->sections.len; i++)
		if (image->sections.at[i].flags & SHF_EXECINSTR)
			sections += image->sections.at[i].size;
	for (size_t i = 0; i < image->segments.len; i++)
		if (image->segments.at[i].flags & PF_X)
			segments += image->segments.at[i].file_size;
	return sections && sections < segments ? sections : segments;
}

uint16_t image_machine(const struct image *image)
{
	return image->machine;
}

bool image_is_other_abi(const struct image *image)
{
	return image->other_abi;
}

bool image_is_big_endian(const struct image *image)
{
	return image->big;
}

uint8_t image_class(const struct image *image)
{
	return image->class;
}

uint16_t image_type(const struct image *image)
{
	return image->type;
}

uint64_t image_entry(const struct image *image)
{
	return image->entry;
}

const struct image_segment *image_segments(const struct image *image, size_t *count)
{
	*count = image->segments.len;
	return image->segments.at;
}

const char *image_interpreter(const struct image *image)
{
	return image->interpreter;
}
