/*
 * Reading symbol tables: .dynsym by PT_DYNAMIC (it is there in every dynamically
 * linked file, stripped or not, with section headers or without), .symtab by its
 * section header.
 *
 * PT_DYNAMIC doesn't say how many dynamic symbols there are; the hash table does:
 *
 *   DT_HASH      [ buckets n | symbols m ][ bucket n ][ chain m ]
 *   DT_GNU_HASH  [ buckets n | first symbol | bloom words | shift ][ bloom ][ bucket n ][ hash
 * of symbol, from the first on; bit 0: the last one of its bucket ]
 *
 * The number of symbols of the latter is 1 + the end of the chain that begins last.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "elf/image.h"
#include "elf/image_symbols.h"

enum { LIMIT_DYNAMIC = 1 << 20, LIMIT_BUCKETS = 1 << 24 };

/* What of PT_DYNAMIC matters here.  Addresses are of the file; 0: not there. */
struct dynamic {
	uint64_t symbols, strings, strings_len, hash, gnu_hash, versions, soname;
	bool has_soname;
};

/* An address in the dynamic section of a process: glibc writes them there with the
 * bias added (most architectures), musl and the kernel's vdso leave them alone. */
static uint64_t unbiased(const struct image *image, uint64_t value)
{
	const struct image_segment *first, *last;

	if (!image->loaded || image->segments.len == 0)
		return value;
	first = &image->segments.at[0];
	last = &image->segments.at[image->segments.len - 1];
	if (value - image->bias - first->vaddr < last->vaddr + last->mem_size - first->vaddr)
		return value - image->bias;
	return value;
}

static bool parse_dynamic(struct image *image, struct dynamic *ret)
{
	const struct image_header *h = image_header_find(image, PT_DYNAMIC);
	uint8_t *bytes;
	struct cursor c;
	size_t len;

	*ret = (struct dynamic){0};
	if (!h || h->file_size > LIMIT_DYNAMIC)
		return false;
	len = h->file_size;
	bytes = image_copy_at(image, h->vaddr, len);
	if (!bytes)
		return false;
	c = image_cursor(image, bytes, len);
	while (!c.bad) {
		uint64_t tag = image_word(image, &c), value = image_word(image, &c);

		if (c.bad || tag == DT_NULL)
			break;
		switch (tag) {
		case DT_SYMTAB:
			ret->symbols = unbiased(image, value);
			break;
		case DT_STRTAB:
			ret->strings = unbiased(image, value);
			break;
		case DT_STRSZ:
			ret->strings_len = value;
			break;
		case DT_HASH:
			ret->hash = unbiased(image, value);
			break;
		case DT_GNU_HASH:
			ret->gnu_hash = unbiased(image, value);
			break;
		case DT_VERSYM:
			ret->versions = unbiased(image, value);
			break;
		case DT_SONAME:
			ret->soname = value;
			ret->has_soname = true;
			break;
		}
	}
	free(bytes);
	return true;
}

static size_t entry_size(const struct image *image)
{
	return image->class == ELFCLASS32 ? sizeof(Elf32_Sym) : sizeof(Elf64_Sym);
}

/* ---- how many dynamic symbols ---------------------------------------------------- */

/* Follows the chain of hashes from `index` to its end; 0: there is none. */
static uint64_t chain_end(struct image *image, uint64_t chains, uint64_t first, uint64_t index)
{
	uint8_t block[4096];

	for (;;) {
		uint64_t at = chains + (index - first) * 4, len = image_rest(image, at);

		len = (len < sizeof(block) ? len : sizeof(block)) & ~3ull;
		if (len == 0 || image_read(image, at, block, len))
			return 0;
		for (uint64_t i = 0; i < len; i += 4, index++) {
			if (block[i + (image->big ? 3 : 0)] & 1)
				return index + 1;
		}
	}
}

/* Copies DT_GNU_HASH and returns the number of symbols it speaks of; 0: none. */
static uint64_t load_gnu_hash(struct image *image, uint64_t vaddr)
{
	struct image_symbols *s = &image->symbols;
	uint64_t word = image->class == ELFCLASS32 ? 4 : 8, chains, count = 0;
	uint8_t header[16], *buckets;
	struct cursor c = image_cursor(image, header, sizeof(header));
	uint32_t bucket_count, first, bloom_words, last = 0;

	if (image_read(image, vaddr, header, sizeof(header)))
		return 0;
	bucket_count = cursor_u32(&c);
	first = cursor_u32(&c);
	bloom_words = cursor_u32(&c);
	if (bucket_count == 0 || bucket_count > LIMIT_BUCKETS || bloom_words > LIMIT_BUCKETS)
		return 0;
	buckets = image_copy_at(image, vaddr + 16 + bloom_words * word, bucket_count * 4ull);
	if (!buckets)
		return 0;
	c = image_cursor(image, buckets, bucket_count * 4ull);
	for (uint32_t i = 0; i < bucket_count; i++) {
		uint32_t bucket = cursor_u32(&c);

		last = bucket > last ? bucket : last;
	}
	free(buckets);
	chains = 16 + bloom_words * word + bucket_count * 4ull;
	if (last == 0)
		count = first; /* nothing is exported */
	else if (last >= first)
		count = chain_end(image, vaddr + chains, first, last);
	if (count < first)
		return 0;
	s->gnu_hash_len = chains + (count - first) * 4;
	s->gnu_hash = image_copy_at(image, vaddr, s->gnu_hash_len);
	return count;
}

static uint64_t count_dynamic(struct image *image, const struct dynamic *d)
{
	uint64_t count = d->gnu_hash ? load_gnu_hash(image, d->gnu_hash) : 0;
	const struct image_section *s;
	uint8_t header[8];

	if (count == 0 && d->hash && !image_read(image, d->hash, header, sizeof(header))) {
		struct cursor c = image_cursor(image, header + 4, 4);

		count = cursor_u32(&c);
	}
	if (count == 0) {
		s = image_section_find(image, NULL, SHT_DYNSYM);
		count = s ? s->size / entry_size(image) : 0;
	}
	return count;
}

/* ---- loading --------------------------------------------------------------------- */

static void load_dynamic(struct image *image)
{
	struct image_symbols *s = &image->symbols;
	struct image_table *t = &s->dynamic;
	struct dynamic d;
	uint64_t count;

	if (s->asked_dynamic)
		return;
	s->asked_dynamic = true;
	t->dynamic = true;
	if (!parse_dynamic(image, &d) || !d.strings || !d.strings_len)
		return;
	t->strings = (char *)image_copy_at(image, d.strings, d.strings_len);
	if (!t->strings)
		return;
	t->strings_len = d.strings_len;
	if (d.has_soname && d.soname < t->strings_len)
		s->soname = t->strings + d.soname;
	count = d.symbols ? count_dynamic(image, &d) : 0;
	if (count > image_rest(image, d.symbols) / entry_size(image))
		return;
	t->entries = image_copy_at(image, d.symbols, count * entry_size(image));
	if (!t->entries)
		return;
	t->count = count;
	t->versions = d.versions ? image_copy_at(image, d.versions, count * 2) : NULL;
}

/* The linker writes versioned symbols as "name@VERSION" into .symtab. */
static void cut_versions(struct image_table *t)
{
	char *at = t->strings, *end = t->strings + t->strings_len;

	while ((at = memchr(at, '@', (size_t)(end - at)))) {
		if (at > t->strings && at[-1])
			*at = '\0';
		at++;
	}
}

static void load_static(struct image *image)
{
	const struct image_section *s, *strings;
	struct image_table *t = &image->symbols.fixed;

	if (image->symbols.asked_static)
		return;
	image->symbols.asked_static = true;
	s = image_section_find(image, NULL, SHT_SYMTAB);
	if (!s || s->link >= image->sections.len)
		return;
	strings = &image->sections.at[s->link];
	if (strings->type != SHT_STRTAB)
		return;
	t->strings = (char *)image_copy(image, strings->offset, strings->size);
	if (!t->strings)
		return;
	t->strings_len = strings->size;
	t->entries = image_copy(image, s->offset, s->size);
	t->count = t->entries ? s->size / entry_size(image) : 0;
	cut_versions(t);
}

const struct image_table *image_dynamic_table(struct image *image)
{
	load_dynamic(image);
	return &image->symbols.dynamic;
}

const struct image_table *image_static_table(struct image *image)
{
	load_static(image);
	return &image->symbols.fixed;
}

const char *image_soname(struct image *image)
{
	load_dynamic(image);
	return image->symbols.soname;
}

void image_symbols_deinit(struct image_symbols *symbols)
{
	free(symbols->dynamic.entries);
	free(symbols->dynamic.strings);
	free(symbols->dynamic.versions);
	free(symbols->fixed.entries);
	free(symbols->fixed.strings);
	free(symbols->gnu_hash);
	vec_deinit(&symbols->index);
}

/* ---- one symbol ------------------------------------------------------------------ */

/*
 * Is a function's code of the other kind: T32 (ELF for the Arm Architecture, 5.5.3), MIPS16 or
 * microMIPS?  These two say so in bit 0 as well, but in .symtab by st_other alone (STO_MIPS16,
 * STO_MICROMIPS of binutils' elf/mips.h).
 */
static bool has_state(uint16_t machine, uint64_t value, uint8_t other)
{
	enum { MIPS_ISA = 0xc0, MICROMIPS = 0x80, MIPS16 = 0xf0 };

	if (machine == EM_MIPS)
		return (value & 1) || (other & MIPS_ISA) == MICROMIPS ||
		       (other & MIPS16) == MIPS16;
	return machine == EM_ARM && (value & 1);
}

bool image_table_symbol(const struct image *image, const struct image_table *t, size_t index,
			struct image_symbol *ret)
{
	size_t size = entry_size(image);
	uint32_t name;
	uint16_t section;
	uint8_t info, other;
	struct cursor c;

	if (index >= t->count)
		return false;
	c = image_cursor(image, t->entries + index * size, size);
	*ret = (struct image_symbol){.dynamic = t->dynamic};
	name = cursor_u32(&c);
	if (image->class == ELFCLASS32) {
		ret->value = cursor_u32(&c);
		ret->size = cursor_u32(&c);
	}
	info = cursor_u8(&c);
	other = cursor_u8(&c);
	section = cursor_u16(&c);
	if (image->class == ELFCLASS64) {
		ret->value = cursor_u64(&c);
		ret->size = cursor_u64(&c);
	}
	ret->type = ELF64_ST_TYPE(info);
	ret->bind = ELF64_ST_BIND(info);
	ret->hidden = ELF64_ST_VISIBILITY(other) == STV_HIDDEN ||
		      ELF64_ST_VISIBILITY(other) == STV_INTERNAL;
	/* Only what has an address in this file. */
	if (section == SHN_UNDEF || section == SHN_ABS || section == SHN_COMMON ||
	    ret->type == STT_SECTION || ret->type == STT_FILE || ret->type == STT_TLS ||
	    name >= t->strings_len || !t->strings[name])
		return false;
	ret->name = t->strings + name;
	ret->thumb = ret->type == STT_FUNC && has_state(image->machine, ret->value, other);
	if (ret->thumb)
		ret->value &= ~1ull;
	return true;
}

bool image_table_is_named(const struct image *image, const struct image_table *t, size_t index,
			  const char *name)
{
	struct cursor c;
	uint32_t at;

	if (index >= t->count)
		return false;
	/* st_name is the first field in both classes. */
	c = image_cursor(image, t->entries + index * entry_size(image), 4);
	at = cursor_u32(&c);
	return at < t->strings_len && t->strings[at] == name[0] &&
	       !strcmp(t->strings + at, name);
}

const char *image_table_name(const struct image *image, const struct image_table *t,
			     size_t index)
{
	struct cursor c;
	uint32_t at;

	if (index >= t->count)
		return NULL;
	c = image_cursor(image, t->entries + index * entry_size(image), 4);
	at = cursor_u32(&c);
	return at && at < t->strings_len ? t->strings + at : NULL;
}

bool image_symbol_is_function(const struct image *image, const struct image_symbol *symbol)
{
	/* "$a", "$t", "$d", "$x": ARM's marks, no names of anything. */
	if (symbol->type == STT_NOTYPE
		    ? symbol->name[0] == '$'
		    : symbol->type != STT_FUNC && symbol->type != STT_GNU_IFUNC)
		return false;
	return image_is_code(image, symbol->value);
}
