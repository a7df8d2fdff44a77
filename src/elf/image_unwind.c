/*
 * The sections that say how to unwind, as bytes.  Program headers first: they are
 * what the running process itself uses.  .eh_frame alone has no program header; in
 * a file without section headers it begins where .eh_frame_hdr points to and ends,
 * at the latest, with its segment (a zero length ends it before).
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "elf/image.h"
#include "elf/image_parts.h"

/* LSB 5, "DWARF Exception Header Encoding": what linkers use in .eh_frame_hdr. */
enum {
	EH_FORMAT = 0x0f,
	EH_ABSPTR = 0x00,
	EH_UDATA4 = 0x03,
	EH_UDATA8 = 0x04,
	EH_SDATA4 = 0x0b,
	EH_SDATA8 = 0x0c,
	EH_RELATIVE = 0x70,
	EH_PCREL = 0x10,
	EH_DATAREL = 0x30,
};

static void fill(struct image *image, struct image_piece *piece, uint64_t vaddr, uint64_t len)
{
	uint8_t *bytes = image_copy_at(image, vaddr, len);

	if (bytes)
		piece->bytes = (struct image_bytes){bytes, len, vaddr};
}

const struct image_bytes *image_eh_frame_hdr(struct image *image)
{
	struct image_piece *piece = &image->eh_frame_hdr;
	const struct image_header *h = image_header_find(image, PT_GNU_EH_FRAME);

	if (!piece->asked && h)
		fill(image, piece, h->vaddr, h->file_size);
	piece->asked = true;
	return &piece->bytes;
}

/* Decodes the eh_frame_ptr of .eh_frame_hdr. */
static bool hdr_points_to(const struct image *image, const struct image_bytes *hdr,
			  uint64_t *ret)
{
	struct cursor c = image_cursor(image, hdr->bytes, hdr->len);
	uint8_t version = cursor_u8(&c), encoding = cursor_u8(&c);
	uint64_t value, base = 0;

	cursor_bytes(&c, 2); /* the encodings of the table */
	switch (encoding & EH_FORMAT) {
	case EH_ABSPTR:
		value = image_word(image, &c);
		break;
	case EH_UDATA4:
		value = cursor_u32(&c);
		break;
	case EH_SDATA4:
		value = (uint64_t)(int32_t)cursor_u32(&c);
		break;
	case EH_UDATA8:
	case EH_SDATA8:
		value = cursor_u64(&c);
		break;
	default:
		return false;
	}
	switch (encoding & EH_RELATIVE) {
	case 0:
		break;
	case EH_PCREL:
		base = hdr->vaddr + 4;
		break;
	case EH_DATAREL:
		base = hdr->vaddr;
		break;
	default:
		return false;
	}
	*ret = base + value;
	if (image->class == ELFCLASS32)
		*ret &= UINT32_MAX;
	return !c.bad && version == 1;
}

const struct image_bytes *image_eh_frame(struct image *image)
{
	struct image_piece *piece = &image->eh_frame;
	const struct image_section *s = image_section_find(image, ".eh_frame", 0);
	const struct image_bytes *hdr;
	uint64_t vaddr;

	if (piece->asked)
		return &piece->bytes;
	piece->asked = true;
	if (s)
		fill(image, piece, s->vaddr, s->size);
	hdr = image_eh_frame_hdr(image);
	if (!piece->bytes.bytes && hdr->bytes && hdr_points_to(image, hdr, &vaddr))
		fill(image, piece, vaddr, image_rest(image, vaddr));
	return &piece->bytes;
}

uint8_t *image_section_copy(struct image *image, const char *name, size_t *len)
{
	const struct image_section *s = image_section_find(image, name, 0);

	if (!s || (s->flags & SHF_COMPRESSED))
		return NULL;
	*len = s->size;
	return image_copy(image, s->offset, s->size);
}

const struct image_bytes *image_debug_frame(struct image *image)
{
	struct image_piece *piece = &image->debug_frame;
	const struct image_section *s = image_section_find(image, ".debug_frame", 0);
	uint8_t *bytes;

	if (!piece->asked && s && !(s->flags & SHF_COMPRESSED)) {
		bytes = image_copy(image, s->offset, s->size);
		if (bytes)
			piece->bytes = (struct image_bytes){bytes, s->size, 0};
	}
	piece->asked = true;
	return &piece->bytes;
}

bool image_debug_frame_give(struct image *image, const uint8_t *bytes, size_t len)
{
	struct image_piece *piece = &image->debug_frame;
	uint8_t *copy = malloc(len + 1);

	if (!copy)
		return false;
	memcpy(copy, bytes, len);
	copy[len] = '\0'; /* as image_copy() has it */
	free((void *)piece->bytes.bytes);
	*piece = (struct image_piece){.bytes = {copy, len, 0}, .asked = true};
	return true;
}

const struct image_bytes *image_exidx(struct image *image)
{
	struct image_piece *piece = &image->exidx;
	const struct image_header *h = image_header_find(image, PT_ARM_EXIDX);

	if (!piece->asked && h && image->machine == EM_ARM)
		fill(image, piece, h->vaddr, h->file_size);
	piece->asked = true;
	return &piece->bytes;
}
