/*
 * What a slot of the global offset table is for: the dynamic linker is told by a relocation
 * that names the symbol (System V ABI, chapter 5: DT_JMPREL, and DT_RELA or DT_REL).
 */
#include <elf.h>
#include <stdlib.h>

#include "elf/image.h"
#include "elf/image_symbols.h"

enum { LIMIT_DYNAMIC = 1 << 16 };

struct slot_tables {
	uint64_t jump, jump_size, jump_kind; /* DT_REL or DT_RELA */
	uint64_t rel, rel_size, rela, rela_size;
	bool pie;
};

static void tables_find(struct image *image, struct slot_tables *ret)
{
	const struct image_header *h = image_header_find(image, PT_DYNAMIC);
	bool sane = h && h->file_size <= LIMIT_DYNAMIC;
	uint8_t *bytes = sane ? image_copy_at(image, h->vaddr, h->file_size) : NULL;
	struct cursor c = cursor_over(bytes, bytes ? h->file_size : 0);
	uint64_t tag;

	*ret = (struct slot_tables){.jump_kind = DT_RELA};
	while (!c.bad && cursor_left(&c) && (tag = image_word(image, &c)) != DT_NULL) {
		uint64_t value = image_word(image, &c);

		switch (tag) {
		case DT_FLAGS_1:
			ret->pie = value & DF_1_PIE;
			break;
		case DT_JMPREL:
			ret->jump = value;
			break;
		case DT_PLTRELSZ:
			ret->jump_size = value;
			break;
		case DT_PLTREL:
			ret->jump_kind = value;
			break;
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
}

/* The index of the symbol whose address goes to the slot; 0: none. */
static uint64_t table_search(struct image *image, uint64_t at, uint64_t size, bool addend,
			     uint64_t slot)
{
	uint8_t *bytes = size ? image_copy_at(image, at, size) : NULL;
	struct cursor c = cursor_over(bytes, bytes ? size : 0);
	uint64_t found = 0;

	while (!found && !c.bad && cursor_left(&c)) {
		uint64_t offset = image_word(image, &c), info = image_word(image, &c);

		if (addend)
			image_word(image, &c);
		if (!c.bad && offset == slot)
			found = image->class == ELFCLASS32 ? ELF32_R_SYM(info)
							   : ELF64_R_SYM(info);
	}
	free(bytes);
	return found;
}

const char *image_slot_name(struct image *image, uint64_t slot)
{
	const struct image_table *t = image_dynamic_table(image);
	struct slot_tables tables;
	uint64_t index;

	tables_find(image, &tables);
	index = table_search(image, tables.jump, tables.jump_size, tables.jump_kind == DT_RELA,
			     slot);
	if (!index)
		index = table_search(image, tables.rela, tables.rela_size, true, slot);
	if (!index)
		index = table_search(image, tables.rel, tables.rel_size, false, slot);
	return index ? image_table_name(image, t, index) : NULL;
}

bool image_is_pie(struct image *image)
{
	struct slot_tables tables;

	tables_find(image, &tables);
	return tables.pie;
}
