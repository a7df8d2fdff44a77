/*
 * LLVM shows the object file that it has compiled (ET_REL), with the addresses of its sections where
 * they were put, but with nothing relocated: of that file the names are true, and .eh_frame is where it
 * was put, in the process, which needs it for exceptions.  Others make up a file that needs no
 * relocating, whose own bytes are true (QEMU: ET_EXEC; V8).
 */
#include "elf/jit_object.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/image_parts.h"

enum { LIMIT_FRAMES = 16 << 20 };

static bool is_relocated(const struct image *image, const char *name)
{
	char relocations[40];

	for (int addend = 0; addend < 2; addend++) {
		snprintf(relocations, sizeof(relocations), addend ? ".rela%s" : ".rel%s", name);
		if (image->type == ET_REL && image_section_find(image, relocations, 0))
			return true;
	}
	return false;
}

static void read_frames(struct image *image, const char *name, struct memory *process,
			struct jit_object *ret)
{
	const struct image_section *s = image_section_find(image, name, 0);

	if (!s || !s->size || s->size > LIMIT_FRAMES)
		return;
	if (!is_relocated(image, name)) {
		ret->frames = image_copy(image, s->offset, s->size);
	} else if (s->vaddr) {
		ret->frames = malloc(s->size);
		if (ret->frames && memory_read(process, s->vaddr, ret->frames, s->size)) {
			free(ret->frames);
			ret->frames = NULL;
		}
	}
	ret->frames_len = ret->frames ? s->size : 0;
	ret->frames_at = s->vaddr;
}

/* In a relocatable file a symbol is where its section is; some have been told already. */
static taddr_t address_of(const struct image *image, uint16_t section, uint64_t value)
{
	const struct image_section *s =
		section < image->sections.len ? &image->sections.at[section] : NULL;

	return image->type == ET_REL && s && value < s->size ? s->vaddr + value : value;
}

static bool add_symbol(const struct image *image, struct cursor *c, size_t strings_len,
		       struct jit_object *ret)
{
	bool wide = image->class == ELFCLASS64;
	uint32_t name = cursor_u32(c);
	uint64_t value = wide ? 0 : cursor_u32(c), size = wide ? 0 : cursor_u32(c);
	uint8_t info = cursor_u8(c);
	uint16_t section = (cursor_u8(c), cursor_u16(c));
	struct jit_symbol symbol;

	value = wide ? cursor_u64(c) : value;
	size = wide ? cursor_u64(c) : size;
	symbol.begin = address_of(image, section, value);
	symbol.end = symbol.begin + size;
	/* (Is it in code of the file?  Only what is looked up there finds it.) */
	if (ELF64_ST_TYPE(info) != STT_FUNC || section == SHN_UNDEF || name >= strings_len || !size ||
	    symbol.end < symbol.begin)
		return true;
	symbol.name = ret->strings + name;
	return vec_push(&ret->symbols, symbol);
}

static int read_symbols(struct image *image, struct jit_object *ret)
{
	const struct image_section *s = image_section_find(image, NULL, SHT_SYMTAB), *strings;
	size_t each = image->class == ELFCLASS64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	uint8_t *bytes;
	bool room = true;

	if (!s || s->link >= image->sections.len)
		return 0;
	strings = &image->sections.at[s->link];
	bytes = image_copy(image, s->offset, s->size);
	ret->strings = (char *)image_copy(image, strings->offset, strings->size);
	for (size_t i = 0; bytes && ret->strings && room && (i + 1) * each <= s->size; i++) {
		struct cursor c = image_cursor(image, bytes + i * each, each);

		room = add_symbol(image, &c, strings->size, ret);
	}
	free(bytes);
	return room ? 0 : -ENOMEM;
}

static int read_code(const struct image *image, struct jit_object *ret)
{
	for (size_t i = 0; i < image->sections.len; i++) {
		const struct image_section *s = &image->sections.at[i];
		const struct jit_range range = {s->vaddr, s->vaddr + s->size};

		if ((s->flags & SHF_EXECINSTR) && s->vaddr && range.end > range.begin &&
		    !vec_push(&ret->code, range))
			return -ENOMEM;
	}
	return ret->code.len ? 0 : -ENOENT;
}

int jit_object_read(struct image *image, struct memory *process, struct jit_object *ret)
{
	int rc;

	*ret = (struct jit_object){.eh = true};
	rc = read_code(image, ret);
	if (!rc)
		rc = read_symbols(image, ret);
	if (rc) {
		jit_object_deinit(ret);
		return rc;
	}
	read_frames(image, ".eh_frame", process, ret);
	if (!ret->frames) {
		ret->eh = false;
		read_frames(image, ".debug_frame", process, ret);
	}
	return 0;
}

void jit_object_deinit(struct jit_object *object)
{
	vec_deinit(&object->code);
	vec_deinit(&object->symbols);
	free(object->strings);
	free(object->frames);
	*object = (struct jit_object){.frames = NULL};
}

bool jit_object_covers(const struct jit_object *object, taddr_t pc)
{
	for (size_t i = 0; i < object->code.len; i++)
		if (pc >= object->code.at[i].begin && pc < object->code.at[i].end)
			return true;
	return false;
}

const struct jit_symbol *jit_object_symbol(const struct jit_object *object, taddr_t pc)
{
	for (size_t i = 0; i < object->symbols.len; i++)
		if (pc >= object->symbols.at[i].begin && pc < object->symbols.at[i].end)
			return &object->symbols.at[i];
	return NULL;
}
