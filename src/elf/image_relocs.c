/*
 * Relocations: what the dynamic linker writes, and where (System V ABI, chapter 5).
 *
 *   DT_JMPREL, DT_RELA, DT_REL:  { offset, symbol and type [, addend] } ...
 *
 * A slot of the global offset table is for the symbol that its relocation names.  Code is as
 * in its file but for the places that relocations write to, which only a file has that says so
 * (DT_TEXTREL, or DF_TEXTREL).
 */
#include <elf.h>
#include <stdlib.h>

#include "elf/image.h"
#include "elf/image_symbols.h"

enum { LIMIT_DYNAMIC = 1 << 16 };

struct reloc_table {
	uint64_t at, size;
	bool addend;
};

struct dynamic { /* what PT_DYNAMIC says */
	struct reloc_table jump, rela, rel;
	bool in_text, pie;
};

static void dynamic_read(struct image *image, struct dynamic *ret)
{
	const struct image_header *h = image_header_find(image, PT_DYNAMIC);
	bool sane = h && h->file_size <= LIMIT_DYNAMIC;
	uint8_t *bytes = sane ? image_copy_at(image, h->vaddr, h->file_size) : NULL;
	struct cursor c = image_cursor(image, bytes, bytes ? h->file_size : 0);
	uint64_t tag;

	*ret = (struct dynamic){.rela.addend = true, .jump.addend = true};
	while (!c.bad && cursor_left(&c) && (tag = image_word(image, &c)) != DT_NULL) {
		uint64_t value = image_word(image, &c);
		uint64_t *field = tag == DT_JMPREL     ? &ret->jump.at
				  : tag == DT_PLTRELSZ ? &ret->jump.size
				  : tag == DT_RELA     ? &ret->rela.at
				  : tag == DT_RELASZ   ? &ret->rela.size
				  : tag == DT_REL      ? &ret->rel.at
				  : tag == DT_RELSZ    ? &ret->rel.size
						       : NULL;

		if (field)
			*field = value;
		if (tag == DT_PLTREL)
			ret->jump.addend = value == DT_RELA;
		ret->in_text |= tag == DT_TEXTREL || (tag == DT_FLAGS && value & DF_TEXTREL);
		ret->pie |= tag == DT_FLAGS_1 && value & DF_1_PIE;
	}
	free(bytes);
}

/* Calls visit for each entry, until it returns true: then true. */
static bool table_for_each(struct image *image, const struct reloc_table *table,
			   bool (*visit)(void *arg, uint64_t offset, uint64_t info), void *arg)
{
	uint8_t *bytes = table->size ? image_copy_at(image, table->at, table->size) : NULL;
	struct cursor c = image_cursor(image, bytes, bytes ? table->size : 0);
	bool found = false;

	while (!found && !c.bad && cursor_left(&c)) {
		uint64_t offset = image_word(image, &c), info = image_word(image, &c);

		if (table->addend)
			image_word(image, &c);
		found = !c.bad && visit(arg, offset, info);
	}
	free(bytes);
	return found;
}

static bool relocs_for_each(struct image *image, const struct dynamic *dynamic,
			    bool (*visit)(void *arg, uint64_t offset, uint64_t info), void *arg)
{
	return table_for_each(image, &dynamic->jump, visit, arg) ||
	       table_for_each(image, &dynamic->rela, visit, arg) ||
	       table_for_each(image, &dynamic->rel, visit, arg);
}

struct reloc_search {
	const struct image *image;
	uint64_t vaddr;
	uint64_t symbol; /* index; 0: none */
};

/* ---- slots ------------------------------------------------------------- */

static bool is_of_slot(void *arg, uint64_t offset, uint64_t info)
{
	struct reloc_search *search = arg;

	if (offset == search->vaddr)
		search->symbol = search->image->class == ELFCLASS32 ? ELF32_R_SYM(info)
								    : ELF64_R_SYM(info);
	return search->symbol != 0;
}

const char *image_slot_name(struct image *image, uint64_t slot)
{
	const struct image_table *t = image_dynamic_table(image);
	struct reloc_search search = {image, slot, 0};
	struct dynamic dynamic;

	dynamic_read(image, &dynamic);
	return relocs_for_each(image, &dynamic, is_of_slot, &search)
		       ? image_table_name(image, t, search.symbol)
		       : NULL;
}

bool image_is_pie(struct image *image)
{
	struct dynamic dynamic;

	dynamic_read(image, &dynamic);
	return dynamic.pie;
}

/* ---- text -------------------------------------------------------------- */

/* How many bytes the relocation changes: as many as an address has, unless the machine has
 * narrower ones; 4 where the type is not known to be an address. */
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
	if (image->machine == EM_RISCV) /* (GOT entries, too, are R_RISCV_64's or RELATIVE's) */
		return type == R_RISCV_64 || type == R_RISCV_RELATIVE ? 8 : 4;
	return 4;
}

static bool covers(void *arg, uint64_t offset, uint64_t info)
{
	const struct reloc_search *search = arg;

	return search->vaddr - offset < width(search->image, info);
}

bool image_is_relocated(struct image *image, uint64_t vaddr)
{
	struct reloc_search search = {image, vaddr, 0};
	struct dynamic dynamic;

	dynamic_read(image, &dynamic);
	return dynamic.in_text && relocs_for_each(image, &dynamic, covers, &search);
}
