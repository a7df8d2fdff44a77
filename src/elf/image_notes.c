/*
 * Who a file is: its build-id, and the name of its debug file.
 *
 * A note (System V ABI, "Note Section"), each part padded to the alignment, which
 * is 4 in every note segment but those of GNU properties (8):
 *
 *   [ name size 4 | descriptor size 4 | type 4 ][ name ][pad][ descriptor ][pad]
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "elf/image.h"
#include "elf/image_parts.h"

enum { LIMIT_NOTES = 1 << 20 };

static void skip_padding(struct cursor *c, uint64_t len, uint64_t align)
{
	uint64_t pad = (align - len % align) % align;

	/* The last note of a segment may lack its padding. */
	cursor_bytes(c, pad < cursor_left(c) ? pad : cursor_left(c));
}

static void scan_notes(struct image *image, const uint8_t *bytes, size_t len, uint64_t align)
{
	struct cursor c = image_cursor(image, bytes, len);

	align = align == 8 ? 8 : 4;
	while (cursor_left(&c) >= 12 && !c.bad && !image->build_id_len) {
		uint32_t name_len = cursor_u32(&c), desc_len = cursor_u32(&c),
			 type = cursor_u32(&c);
		const uint8_t *name, *desc;

		name = cursor_bytes(&c, name_len);
		skip_padding(&c, 12 + (uint64_t)name_len, align);
		desc = cursor_bytes(&c, desc_len);
		skip_padding(&c, desc_len, align);
		if (!name || !desc || type != NT_GNU_BUILD_ID || name_len != 4 ||
		    memcmp(name, "GNU", 4) || desc_len == 0 ||
		    desc_len > sizeof(image->build_id))
			continue;
		memcpy(image->build_id, desc, desc_len);
		image->build_id_len = desc_len;
	}
}

static void find_build_id(struct image *image)
{
	uint8_t *bytes;

	for (size_t i = 0; i < image->headers.len && !image->build_id_len; i++) {
		const struct image_header *h = &image->headers.at[i];

		if (h->type != PT_NOTE || h->file_size > LIMIT_NOTES)
			continue;
		bytes = image_copy_at(image, h->vaddr, h->file_size);
		if (bytes)
			scan_notes(image, bytes, h->file_size, h->align);
		free(bytes);
	}
	for (size_t i = 0; i < image->sections.len && !image->build_id_len; i++) {
		const struct image_section *s = &image->sections.at[i];

		if (s->type != SHT_NOTE || s->size > LIMIT_NOTES)
			continue;
		bytes = image_copy(image, s->offset, s->size);
		if (bytes)
			scan_notes(image, bytes, s->size, 4);
		free(bytes);
	}
}

const uint8_t *image_build_id(struct image *image, size_t *len)
{
	if (!image->asked_build_id)
		find_build_id(image);
	image->asked_build_id = true;
	*len = image->build_id_len;
	return image->build_id_len ? image->build_id : NULL;
}

/* .gnu_debuglink: a file name, NUL, padding to 4, its CRC-32. */
const char *image_debuglink(struct image *image, uint32_t *crc)
{
	const struct image_section *s = image_section_find(image, ".gnu_debuglink", 0);

	if (!image->asked_debuglink && s && s->size < 4096) {
		uint8_t *bytes = image_copy(image, s->offset, s->size);
		size_t at = bytes ? (strlen((char *)bytes) + 4) & ~(size_t)3 : 0;

		if (bytes && at + 4 <= s->size) {
			struct cursor c = image_cursor(image, bytes + at, 4);

			image->debuglink_crc = cursor_u32(&c);
			image->debuglink = (char *)bytes;
		} else {
			free(bytes);
		}
	}
	image->asked_debuglink = true;
	if (image->debuglink)
		*crc = image->debuglink_crc;
	return image->debuglink;
}
