/*
 * Opening an ELF file: nothing but the ELF header, the program headers and the section headers is
 * read.  Everything else is a piece (image.c).
 *
 * What the process runs is defined by the program headers; section headers are a
 * hint that may be missing or wrong.  So a bad program header refuses the file, a
 * bad section header only hides its section.  System V ABI, chapters 4 and 5.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elf/image_parts.h"

enum {
	LIMIT_HEADERS = 4096,	 /* program headers; real files have 5-20 */
	LIMIT_SECTIONS = 200000, /* -ffunction-sections objects come near; linked files don't */
	LIMIT_FIRST = 4096, /* a segment that begins below maps the ELF header too */
};

struct elf_header { /* the fields of Elf32_Ehdr / Elf64_Ehdr that matter */
	uint64_t phoff, shoff;
	uint16_t phentsize, phnum, shentsize, shnum, shstrndx;
};

static int parse_ident(struct image *image, const uint8_t ident[EI_NIDENT], struct err *err)
{
	if (memcmp(ident, ELFMAG, SELFMAG))
		return err_set(err, -ENOEXEC, "not an ELF file");
	image->class = ident[EI_CLASS];
	if (image->class != ELFCLASS32 && image->class != ELFCLASS64)
		return err_set(err, -EINVAL, "broken ELF header: class %u", image->class);
	image->big = ident[EI_DATA] == ELFDATA2MSB;
	if (!image->big && ident[EI_DATA] != ELFDATA2LSB)
		return err_set(err, -EINVAL, "broken ELF header: byte order %u",
			       ident[EI_DATA]);
	return 0;
}

/* MIPS: n32, whose class and machine are those of o32, and release 6, which has other instructions
 * (binutils: include/elf/mips.h). */
static bool is_other_abi(uint16_t machine, uint32_t flags)
{
	enum { ABI2 = 0x20, RELEASE = 28, MIPS32R6 = 9, MIPS64R6 = 10 };

	return machine == EM_MIPS && ((flags & ABI2) || flags >> RELEASE == MIPS32R6 ||
				      flags >> RELEASE == MIPS64R6);
}

static int parse_elf_header(struct image *image, taddr_t start, struct elf_header *ret,
			    struct err *err)
{
	uint8_t bytes[sizeof(Elf64_Ehdr)];
	struct cursor c;
	size_t len;
	int failed;

	if (memory_read(image->memory, start, bytes, EI_NIDENT))
		return err_set(err, -ENOEXEC,
			       "not an ELF file: it is shorter than an ELF header");
	failed = parse_ident(image, bytes, err);
	if (failed)
		return failed;
	len = image->class == ELFCLASS32 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr);
	if (memory_read(image->memory, start, bytes, len))
		return err_set(err, -EINVAL, "broken ELF file: cut within its header");
	c = image_cursor(image, bytes + EI_NIDENT, len - EI_NIDENT);
	image->type = cursor_u16(&c);
	image->machine = cursor_u16(&c);
	cursor_u32(&c); /* e_version */
	image->entry = image_word(image, &c);
	ret->phoff = image_word(image, &c);
	ret->shoff = image_word(image, &c);
	image->other_abi = is_other_abi(image->machine, cursor_u32(&c));
	cursor_u16(&c); /* e_ehsize */
	ret->phentsize = cursor_u16(&c);
	ret->phnum = cursor_u16(&c);
	ret->shentsize = cursor_u16(&c);
	ret->shnum = cursor_u16(&c);
	ret->shstrndx = cursor_u16(&c);
	return 0;
}

static struct image_header parse_header(const struct image *image, struct cursor *c,
					uint32_t *flags)
{
	struct image_header h = {.type = cursor_u32(c)};

	if (image->class == ELFCLASS64)
		*flags = cursor_u32(c);
	h.offset = image_word(image, c);
	h.vaddr = image_word(image, c);
	image_word(image, c); /* p_paddr */
	h.file_size = image_word(image, c);
	h.mem_size = image_word(image, c);
	if (image->class == ELFCLASS32)
		*flags = cursor_u32(c);
	h.align = image_word(image, c);
	return h;
}

static int by_vaddr(const void *a, const void *b)
{
	const struct image_segment *left = a, *right = b;

	return (left->vaddr > right->vaddr) - (left->vaddr < right->vaddr);
}

static int add_header(struct image *image, const struct image_header *h, uint32_t flags,
		      struct err *err)
{
	struct image_segment segment = {
		.vaddr = h->vaddr,
		.offset = h->offset,
		.file_size = h->file_size,
		.mem_size = h->mem_size,
		.align = h->align,
		.flags = flags,
	};

	if (h->type != PT_LOAD)
		return vec_push(&image->headers, *h)
			       ? 0
			       : err_sys(err, -ENOMEM, "reading an ELF file");
	if (h->file_size > h->mem_size || h->vaddr > UINT64_MAX - h->mem_size ||
	    h->offset > UINT64_MAX - h->file_size)
		return err_set(err, -EINVAL, "broken ELF file: a PT_LOAD that can't be");
	return vec_push(&image->segments, segment)
		       ? 0
		       : err_sys(err, -ENOMEM, "reading an ELF file");
}

static int parse_headers(struct image *image, taddr_t start, const struct elf_header *elf,
			 struct err *err)
{
	size_t size = image->class == ELFCLASS32 ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);
	uint8_t *bytes;
	struct cursor c;
	int failed = 0;

	if (elf->phnum == 0)
		return 0;
	if (elf->phnum > LIMIT_HEADERS || elf->phentsize != size)
		return err_set(err, -EINVAL, "broken ELF file: %u program headers of %u bytes",
			       elf->phnum, elf->phentsize);
	bytes = elf->phoff <= UINT64_MAX - start
			? image_copy(image, start + elf->phoff, elf->phnum * size)
			: NULL;
	if (!bytes)
		return err_set(err, -EINVAL,
			       "broken ELF file: its program headers are outside of it");
	c = image_cursor(image, bytes, elf->phnum * size);
	for (size_t i = 0; i < elf->phnum && !failed; i++) {
		uint32_t flags = 0;
		struct image_header h = parse_header(image, &c, &flags);

		failed = add_header(image, &h, flags, err);
	}
	free(bytes);
	if (image->segments.len)
		qsort(image->segments.at, image->segments.len, sizeof(image->segments.at[0]),
		      by_vaddr);
	return failed;
}

static struct image_section parse_section(const struct image *image, struct cursor *c,
					  uint32_t *name)
{
	struct image_section s = {.name = ""};

	*name = cursor_u32(c);
	s.type = cursor_u32(c);
	s.flags = image_word(image, c);
	s.vaddr = image_word(image, c);
	s.offset = image_word(image, c);
	s.size = image_word(image, c);
	s.link = cursor_u32(c);
	cursor_u32(c);	      /* sh_info */
	image_word(image, c); /* sh_addralign */
	image_word(image, c); /* sh_entsize */
	return s;
}

/* How many section headers, and which one holds their names: in the ELF header, or
 * for big files in section header 0. */
static bool count_sections(struct image *image, const struct elf_header *elf, size_t size,
			   uint64_t *count, uint32_t *names)
{
	uint8_t bytes[sizeof(Elf64_Shdr)];
	struct cursor c = image_cursor(image, bytes, size);
	struct image_section first;
	uint32_t name;

	*count = elf->shnum;
	*names = elf->shstrndx;
	if (elf->shoff == 0 || elf->shentsize != size ||
	    memory_read(image->memory, elf->shoff, bytes, size))
		return false;
	first = parse_section(image, &c, &name);
	if (*count == 0)
		*count = first.size;
	if (*names == SHN_XINDEX)
		*names = first.link;
	return *count > 0 && *count <= LIMIT_SECTIONS;
}

static void name_sections(struct image *image, const uint32_t *offsets, uint32_t names)
{
	const struct image_section *s =
		names < image->sections.len ? &image->sections.at[names] : NULL;

	if (!s || s->type != SHT_STRTAB)
		return;
	image->section_names = (char *)image_copy(image, s->offset, s->size);
	for (size_t i = 0; image->section_names && i < image->sections.len; i++) {
		if (offsets[i] < s->size)
			image->sections.at[i].name = image->section_names + offsets[i];
	}
}

/* Section headers are optional: what is wrong with them is passed over. */
static void parse_sections(struct image *image, const struct elf_header *elf)
{
	size_t size = image->class == ELFCLASS32 ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr);
	uint64_t count;
	uint32_t names, *offsets;
	uint8_t *bytes;
	struct cursor c;

	if (!count_sections(image, elf, size, &count, &names))
		return;
	bytes = image_copy(image, elf->shoff, count * size);
	offsets = malloc(count * sizeof(*offsets));
	if (bytes && offsets && vec_reserve(&image->sections, count)) {
		c = image_cursor(image, bytes, count * size);
		for (size_t i = 0; i < count; i++) {
			struct image_section s = parse_section(image, &c, &offsets[i]);

			image->sections.at[image->sections.len++] = s;
			if (s.type == SHT_NOBITS && (s.flags & SHF_EXECINSTR))
				image->stripped_to_debug = true;
		}
		name_sections(image, offsets, names);
	}
	free(bytes);
	free(offsets);
}

static void read_interpreter(struct image *image)
{
	const struct image_header *h = image_header_find(image, PT_INTERP);

	if (h && h->file_size < 4096)
		image->interpreter = (char *)image_copy_at(image, h->vaddr, h->file_size);
}

/* The ELF header, file offset 0, was found at `start`: in the first page of some
 * segment, which may begin a little behind it. */
static bool find_bias(struct image *image, taddr_t start)
{
	for (size_t i = 0; i < image->segments.len; i++) {
		const struct image_segment *s = &image->segments.at[i];

		if (s->file_size && s->offset < LIMIT_FIRST) {
			image->bias = start - (s->vaddr - s->offset);
			return true;
		}
	}
	return false;
}

static int open_from(struct memory *memory, bool loaded, taddr_t start, struct image **ret,
		     struct err *err)
{
	struct image *image = calloc(1, sizeof(*image));
	struct elf_header elf = {0};
	int failed;

	if (!image)
		return err_sys(err, -ENOMEM, "reading an ELF file");
	image->memory = memory;
	image->loaded = loaded;
	failed = parse_elf_header(image, start, &elf, err);
	if (!failed)
		failed = parse_headers(image, start, &elf, err);
	if (failed) {
		image_close(image);
		return failed;
	}
	if (loaded) {
		if (!find_bias(image, start)) {
			image_close(image);
			return err_set(err, -EINVAL,
				       "broken ELF file: no PT_LOAD maps its header");
		}
	} else {
		parse_sections(image, &elf);
	}
	read_interpreter(image);
	*ret = image;
	return 0;
}

int image_open(struct memory *file, struct image **ret, struct err *err)
{
	return open_from(file, false, 0, ret, err);
}

int image_open_loaded(struct memory *process, taddr_t start, struct image **ret,
		      struct err *err)
{
	return open_from(process, true, start, ret, err);
}

void image_close(struct image *image)
{
	if (!image)
		return;
	image_symbols_deinit(&image->symbols);
	vec_deinit(&image->segments);
	vec_deinit(&image->headers);
	vec_deinit(&image->sections);
	free(image->section_names);
	free(image->interpreter);
	free(image->debuglink);
	free((void *)image->eh_frame_hdr.bytes.bytes);
	free((void *)image->eh_frame.bytes.bytes);
	free((void *)image->debug_frame.bytes.bytes);
	free((void *)image->exidx.bytes.bytes);
	free(image);
}
