/*
 * Text relocations: where the dynamic linker writes into code.
 *
 * Code is as in its file but for those places, which a file names (DT_TEXTREL, or
 * DF_TEXTREL: System V ABI, chapter 5).  A field is as wide as an address, unless the
 * machine has narrower ones: of a type that is not known to be an address, 4 bytes.
 */
#include <elf.h>
#include <stdlib.h>

#include "elf/image.h"
#include "elf/image_parts.h"

struct relocs { /* what PT_DYNAMIC says */
	bool in_text;
	uint64_t rel, rel_size, rela, rela_size;
};

static bool relocs_find(struct image *image, struct relocs *ret)
{
	const struct image_header *h = image_header_find(image, PT_DYNAMIC);
	uint8_t *bytes = h ? image_copy_at(image, h->vaddr, h->file_size) : NULL;
	struct cursor c = cursor_over(bytes, bytes ? h->file_size : 0);
	uint64_t tag;

	*ret = (struct relocs){false, 0, 0, 0, 0};
	while (!c.bad && cursor_left(&c) && (tag = image_word(image, &c)) != DT_NULL) {
		uint64_t value = image_word(image, &c);

		ret->in_text |= tag == DT_TEXTREL || (tag == DT_FLAGS && value & DF_TEXTREL);
		switch (tag) {
		case DT_REL:
			ret->rel = value;
			break;
		case DT_RELSZ:
			ret->rel_size = value;
			break;
		case DT_RELA:
			ret->rela = value;
			break;
		case DT_RELASZ:
			ret->rela_size = value;
			break;
		}
	}
	free(bytes);
	return ret->in_text;
}

/* How many bytes the relocation changes. */
static unsigned width(const struct image *image, uint64_t info)
{
	uint32_t type = (uint32_t)info;

	if (image->class == ELFCLASS32)
		return 4;
	if (image->machine == EM_X86_64)
		return type == R_X86_64_64 || type == R_X86_64_RELATIVE ||
				       type == R_X86_64_GLOB_DAT || type == R_X86_64_PC64
			       ? 8
			       : 4;
	if (image->machine == EM_AARCH64)
		return type == R_AARCH64_ABS64 || type == R_AARCH64_RELATIVE ||
				       type == R_AARCH64_GLOB_DAT
			       ? 8
			       : 4;
	return 4;
}

static bool table_covers(struct image *image, uint64_t at, uint64_t size, bool addend,
			 uint64_t vaddr)
{
	uint8_t *bytes = image_copy_at(image, at, size);
	struct cursor c = cursor_over(bytes, bytes ? size : 0);
	bool found = false;

	while (!found && !c.bad && cursor_left(&c)) {
		uint64_t offset = image_word(image, &c), info = image_word(image, &c);

		if (addend)
			image_word(image, &c);
		found = !c.bad && vaddr - offset < width(image, info);
	}
	free(bytes);
	return found;
}

bool image_is_relocated(struct image *image, uint64_t vaddr)
{
	struct relocs relocs;

	return relocs_find(image, &relocs) &&
	       (table_covers(image, relocs.rel, relocs.rel_size, false, vaddr) ||
		table_covers(image, relocs.rela, relocs.rela_size, true, vaddr));
}
