/*
 * ELF images: this program's libc as its file, without section headers, and as it
 * is loaded must tell the same; what libelf and the loader say is the measure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <gnu/lib-names.h>
#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "work.h"
#include "arch/cpu.h"
#include "elf/fingerprint.h"
#include "elf/image.h"

struct fixture {
	uint8_t *bytes; /* libc's file */
	size_t len;
	int fd, self;
	const struct link_map *map;
	struct memory_file file, process;
	struct memory_buffer buffer;
};
static struct fixture libc;

static int setup(void **state)
{
	void *handle = dlopen(LIBC_SO, RTLD_NOW);

	(void)state;
	if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &libc.map))
		return -1;
	libc.fd = open(libc.map->l_name, O_RDONLY);
	libc.self = open("/proc/self/mem", O_RDONLY);
	libc.len = (size_t)lseek(libc.fd, 0, SEEK_END);
	libc.bytes = malloc(libc.len);
	if (pread(libc.fd, libc.bytes, libc.len, 0) != (ssize_t)libc.len)
		return -1;
	memory_file_init(&libc.file, libc.fd);
	memory_file_init(&libc.process, libc.self);
	memory_buffer_init(&libc.buffer, 0, libc.bytes, libc.len);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(libc.bytes);
	close(libc.fd);
	close(libc.self);
	return 0;
}

/* The three ways to look at libc. */
static struct image *open_file(void)
{
	struct image *image;

	assert_int_equal(image_open(&libc.file.memory, &image, NULL), 0);
	return image;
}

static struct image *open_sectionless(void)
{
	ElfW(Ehdr) *header = (ElfW(Ehdr) *)libc.bytes;
	struct image *image;

	header->e_shoff = header->e_shnum = header->e_shstrndx = 0;
	assert_int_equal(image_open(&libc.buffer.memory, &image, NULL), 0);
	return image;
}

static struct image *open_loaded(void)
{
	struct image *image;

	assert_int_equal(
		image_open_loaded(&libc.process.memory, libc.map->l_addr, &image, NULL), 0);
	return image;
}

static struct image *(*const openers[])(void) = {open_file, open_sectionless, open_loaded};

static void headers_are_read(void **state)
{
#if defined(__aarch64__)
	const char *interpreter = "/lib/ld-linux-aarch64.so.1";
#elif defined(__ARM_PCS_VFP)
	const char *interpreter = "/lib/ld-linux-armhf.so.3";
#elif defined(__arm__)
	const char *interpreter = "/lib/ld-linux.so.3";
#elif defined(__riscv)
	const char *interpreter = "/lib/ld-linux-riscv64-lp64d.so.1";
#elif defined(__mips__)
	const char *interpreter = "/lib/ld.so.1";
#else
	const char *interpreter = "/lib64/ld-linux-x86-64.so.2";
#endif

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(openers); i++) {
		struct image *image = openers[i]();
		const struct image_segment *segments;
		size_t count;

		assert_int_equal(image_machine(image), arch_native()->elf_machine);
		assert_int_equal(image_class(image), arch_native()->elf_class);
		assert_int_equal(image_type(image), ET_DYN);
		assert_string_equal(image_soname(image), LIBC_SO);
		assert_string_equal(image_interpreter(image), interpreter);
		segments = image_segments(image, &count);
		assert_true(count >= 2);
		for (size_t s = 1; s < count; s++)
			assert_true(segments[s].vaddr > segments[s - 1].vaddr);
		image_close(image);
	}
}

/* The build-id as libelf reads it. */
static void build_id_is_libelfs(void **state)
{
	const void *expected;
	Elf *elf;

	(void)state;
	elf_version(EV_CURRENT);
	elf = elf_begin(libc.fd, ELF_C_READ, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(openers); i++) {
		struct image *image = openers[i]();
		const uint8_t *id;
		size_t len;
		Elf_Scn *section = NULL;

		id = image_build_id(image, &len);
		assert_int_equal(len, 20);
		expected = NULL;
		while ((section = elf_nextscn(elf, section)) && !expected) {
			GElf_Shdr header;
			const char *name;
			size_t names;

			gelf_getshdr(section, &header);
			elf_getshdrstrndx(elf, &names);
			name = elf_strptr(elf, names, header.sh_name);
			if (!strcmp(name, ".note.gnu.build-id"))
				expected = (char *)elf_getdata(section, NULL)->d_buf + 16;
		}
		assert_non_null(expected);
		assert_memory_equal(id, expected, len);
		image_close(image);
	}
	elf_end(elf);
}

/* The version of libc's newer one: that of its first release, for most CPUs. */
#if defined(__aarch64__)
#define COND_WAIT "GLIBC_2.17"
#elif defined(__arm__)
#define COND_WAIT "GLIBC_2.4"
#elif defined(__riscv)
#define COND_WAIT "GLIBC_2.27"
#else
#define COND_WAIT "GLIBC_2.3.2"
#endif

static void names_are_found_as_the_loader_finds_them(void **state)
{
	static const char *const names[] = {"malloc",	"free",		  "calloc",
					    "realloc",	"posix_memalign", "printf",
					    "memalign", "aligned_alloc",  "pthread_self"};

	/* Its own: a sanitizer may define malloc before it, libpthread other names. */
	void *libc_handle = dlopen(LIBC_SO, RTLD_NOW | RTLD_NOLOAD);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(openers); i++) {
		struct image *image = openers[i]();
		struct image_symbol symbol;

		for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
			assert_true(image_symbol_find(image, names[n], &symbol));
			assert_string_equal(symbol.name, names[n]);
			assert_int_equal(symbol.type, STT_FUNC);
			assert_true(symbol.dynamic);
			assert_int_equal(symbol.value + libc.map->l_addr,
					 (uintptr_t)dlsym(libc_handle, names[n]) - symbol.thumb);
		}
		assert_false(image_symbol_find(image, "no_such_function_anywhere", &symbol));
		assert_false(image_symbol_find(image, "stdout", &symbol)); /* data */
		/* Of several versions the default one. */
		assert_true(image_symbol_find(image, "pthread_cond_wait", &symbol));
		assert_int_equal(symbol.value + libc.map->l_addr,
				 (uintptr_t)dlvsym(libc_handle, "pthread_cond_wait", COND_WAIT) -
					 symbol.thumb);
#ifndef __riscv /* (which came when it was gone) */
		/* One that only old programs may use. */
		assert_true(image_symbol_find(image, "cfree", &symbol));
#endif
		image_close(image);
	}
	dlclose(libc_handle);
}

struct tally {
	size_t dynamic, fixed, functions;
	uint64_t sum;
};

static bool tally(void *arg, const struct image_symbol *symbol)
{
	struct tally *t = arg;

	t->dynamic += symbol->dynamic;
	t->fixed += !symbol->dynamic;
	t->functions += symbol->type == STT_FUNC;
	t->sum += symbol->value * (symbol->size + 1);
	assert_true(symbol->name[0]);
	return false;
}

/* What libelf finds in .dynsym, by the rules of image_for_each_symbol(). */
static struct tally tally_by_libelf(void)
{
	Elf *elf = elf_begin(libc.fd, ELF_C_READ, NULL);
	Elf_Scn *section = NULL;
	struct tally t = {0};

	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		GElf_Sym s;

		gelf_getshdr(section, &header);
		if (header.sh_type != SHT_DYNSYM)
			continue;
		for (int i = 0; gelf_getsym(elf_getdata(section, NULL), i, &s); i++) {
			int type = GELF_ST_TYPE(s.st_info);

			if (s.st_shndx == SHN_UNDEF || s.st_shndx == SHN_ABS || !s.st_name ||
			    type == STT_TLS || type == STT_SECTION)
				continue;
			t.dynamic++;
			t.functions += type == STT_FUNC;
			if (type == STT_FUNC)
				s.st_value &= ~arch_native()->state_mask;
			t.sum += s.st_value * (s.st_size + 1);
		}
	}
	elf_end(elf);
	return t;
}

static void every_symbol_is_visited(void **state)
{
	struct tally expected = tally_by_libelf();

	(void)state;
	assert_true(expected.dynamic > 2000);
	for (size_t i = 0; i < ARRAY_SIZE(openers); i++) {
		struct image *image = openers[i]();
		struct tally t = {0};

		image_for_each_symbol(image, tally, &t);
		if (!t.fixed) {
			assert_int_equal(t.functions, expected.functions);
			assert_int_equal(t.sum, expected.sum);
		}
		assert_int_equal(t.dynamic, expected.dynamic);
		image_close(image);
	}
}

static void an_address_has_the_name_of_its_function(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(openers); i++) {
		struct image *image = openers[i]();
		struct image_symbol malloc_, found;

		assert_true(image_symbol_find(image, "malloc", &malloc_));
		assert_true(malloc_.size > 0);
		assert_true(image_symbol_at(image, malloc_.value, &found));
		assert_string_equal(found.name, "malloc"); /* not __libc_malloc */
		assert_true(image_symbol_at(image, malloc_.value + malloc_.size - 1, &found));
		assert_string_equal(found.name, "malloc");
		assert_true(!image_symbol_at(image, malloc_.value + malloc_.size, &found) ||
			    strcmp(found.name, "malloc"));
		assert_false(image_symbol_at(image, 0, &found));
		assert_false(image_symbol_at(image, UINT64_MAX, &found));
		image_close(image);
	}
}

static void unwind_sections_are_the_same_from_everywhere(void **state)
{
	struct image *whole = open_file();
	struct image_bytes hdr = *image_eh_frame_hdr(whole), frame = *image_eh_frame(whole);

	(void)state;
	if (arch_native()->elf_machine == EM_ARM) {
		assert_null(hdr.bytes);
		assert_non_null(image_exidx(whole)->bytes);
		image_close(whole);
		return;
	}
	assert_non_null(hdr.bytes);
	assert_non_null(frame.bytes);
	for (size_t i = 1; i < ARRAY_SIZE(openers); i++) {
		struct image *image = openers[i]();

		assert_int_equal(image_eh_frame_hdr(image)->vaddr, hdr.vaddr);
		assert_int_equal(image_eh_frame_hdr(image)->len, hdr.len);
		assert_memory_equal(image_eh_frame_hdr(image)->bytes, hdr.bytes, hdr.len);
		assert_int_equal(image_eh_frame(image)->vaddr, frame.vaddr);
		assert_true(image_eh_frame(image)->len >= frame.len);
		assert_memory_equal(image_eh_frame(image)->bytes, frame.bytes, frame.len);
		assert_null(image_debug_frame(image)->bytes);
		assert_null(image_exidx(image)->bytes);
		image_close(image);
	}
	image_close(whole);
}

static void bytes_are_read_by_address(void **state)
{
	struct image *image = open_file();
	const struct image_segment *segments;
	struct image_symbol symbol;
	uint8_t got[16], expected[16];
	size_t count;

	(void)state;
	segments = image_segments(image, &count);
	assert_true(image_symbol_find(image, "strdup", &symbol));
	assert_int_equal(image_read(image, symbol.value, got, sizeof(got)), 0);
	assert_int_equal(memory_read(&libc.process.memory, symbol.value + libc.map->l_addr,
				     expected, 16),
			 0);
	assert_memory_equal(got, expected, 16);
	assert_int_equal(image_read(image, segments[0].vaddr + segments[0].file_size, got, 1),
			 -EFAULT);
	assert_int_equal(
		image_read(image, segments[0].vaddr + segments[0].file_size - 15, got, 16),
		-EFAULT);
	assert_int_equal(image_read(image, UINT64_MAX - 3, got, 16), -EFAULT);
	image_close(image);
}

static void what_is_no_elf_file_is_refused(void **state)
{
	struct memory_buffer buffer;
	struct image *image;
	struct err err;
	uint8_t bytes[64] = "#!/bin/sh\n";

	(void)state;
	memory_buffer_init(&buffer, 0, bytes, 10);
	assert_int_equal(image_open(&buffer.memory, &image, &err), -ENOEXEC);
	memory_buffer_init(&buffer, 0, bytes, sizeof(bytes));
	assert_int_equal(image_open(&buffer.memory, &image, &err), -ENOEXEC);
	assert_string_equal(err.text, "not an ELF file");
	memcpy(bytes, libc.bytes, 64);
	assert_int_equal(image_open(&buffer.memory, &image, &err),
			 -EINVAL); /* no program headers */
	memory_buffer_init(&buffer, 0, bytes, 40);
	assert_int_equal(image_open(&buffer.memory, &image, &err), -EINVAL);
	bytes[EI_DATA] = ELFDATANONE;
	assert_int_equal(image_open(&buffer.memory, &image, &err), -EINVAL);
	assert_string_equal(err.text, "broken ELF header: byte order 0");
}

/* libc, whose DT_GNU_HASH loses its buckets between two reads. */
struct changing {
	struct memory memory;
	taddr_t hash_at;
};

static int read_changing(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct changing *changing = (struct changing *)memory;
	int failed = memory_read(&libc.process.memory, addr, buf, len);

	if (!failed && addr == changing->hash_at && len > 16)
		memset(buf, 0, 4);
	return failed;
}

static void a_table_that_changes_is_no_more_than_empty(void **state)
{
	struct changing changing = {.memory.read = read_changing};
	struct image_symbol symbol;
	struct image *image;

	(void)state;
#ifdef __mips__
	skip(); /* (its files have no DT_GNU_HASH) */
#endif
	for (const ElfW(Dyn) *at = libc.map->l_ld; at->d_tag != DT_NULL; at++)
		if (at->d_tag == DT_GNU_HASH)
			changing.hash_at = at->d_un.d_ptr;
	if (changing.hash_at < libc.map->l_addr) /* RISC-V's loader leaves it as it is in the file */
		changing.hash_at += libc.map->l_addr;
	assert_int_not_equal(changing.hash_at, 0);
	assert_int_equal(image_open_loaded(&changing.memory, libc.map->l_addr, &image, NULL),
			 0);
	assert_false(image_symbol_find(image, "malloc", &symbol));
	image_close(image);
}

/* A file with dynamic symbols alone, which the caller fills in, and names of so many bytes. */
static uint8_t *file_of_symbols(size_t count, size_t names_len, Elf64_Sym **symbols,
				uint8_t **names, size_t *len)
{
	enum { DYNAMIC_AT = 0x200, HASH_AT = 0x300, TABLE_AT = 0x1000 };
	const size_t names_at = TABLE_AT + count * sizeof(Elf64_Sym);
	uint8_t *bytes = calloc(1, names_at + names_len);
	Elf64_Ehdr *elf = (Elf64_Ehdr *)bytes;
	Elf64_Phdr *headers = (Elf64_Phdr *)(elf + 1);
	Elf64_Dyn *dynamic = (Elf64_Dyn *)(bytes + DYNAMIC_AT);

	*len = names_at + names_len;
	*elf = (Elf64_Ehdr){.e_type = ET_DYN,
			    .e_machine = EM_X86_64,
			    .e_phoff = sizeof(*elf),
			    .e_phentsize = sizeof(*headers),
			    .e_phnum = 2};
	memcpy(elf->e_ident, ELFMAG "\2\1\1", 7);
	headers[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				  .p_flags = PF_R | PF_X,
				  .p_filesz = *len,
				  .p_memsz = *len};
	headers[1] = (Elf64_Phdr){.p_type = PT_DYNAMIC,
				  .p_offset = DYNAMIC_AT,
				  .p_vaddr = DYNAMIC_AT,
				  .p_filesz = 5 * sizeof(*dynamic)};
	dynamic[0] = (Elf64_Dyn){DT_SYMTAB, {TABLE_AT}};
	dynamic[1] = (Elf64_Dyn){DT_STRTAB, {names_at}};
	dynamic[2] = (Elf64_Dyn){DT_STRSZ, {names_len}};
	dynamic[3] = (Elf64_Dyn){DT_HASH, {HASH_AT}};
	((Elf64_Word *)(bytes + HASH_AT))[1] = (Elf64_Word)count;
	*symbols = (Elf64_Sym *)(bytes + TABLE_AT);
	*names = bytes + names_at;
	return bytes;
}

static const Elf64_Sym function = {.st_name = 1,
				   .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
				   .st_shndx = 1,
				   .st_value = 0x1000};

/* 20000 symbols, whose names are each the rest of one string of 2 MB. */
static void names_are_hashed_within_reason(void **state)
{
	enum { SYMBOLS = 20000, NAMES = 2 << 20 };
	struct fingerprint fingerprint;
	struct memory_buffer memory;
	double began = work_seconds();
	struct image *image;
	Elf64_Sym *symbols;
	uint8_t *names, *bytes;
	size_t len;

	(void)state;
	bytes = file_of_symbols(SYMBOLS, NAMES, &symbols, &names, &len);
	for (Elf64_Word i = 0; i < SYMBOLS; i++) {
		symbols[i] = function;
		symbols[i].st_name += i;
	}
	memset(names + 1, 'a', NAMES - 2);
	memory_buffer_init(&memory, 0, bytes, len);
	assert_int_equal(image_open(&memory.memory, &image, NULL), 0);
	assert_int_equal(fingerprint_make(image, &fingerprint), -EFAULT);
	assert_true(work_seconds() - began < 60 * work_unit());
	image_close(image);
	free(bytes);
}

/* One function that says it reaches over 200000 others. */
/* Fields of a big-endian file. */
static uint8_t *put(uint8_t *at, uint64_t value, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		at[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
	return at + width;
}

/*
 * A 32-bit big-endian file: header, PT_LOAD of all, PT_NOTE with a build-id, PT_DYNAMIC with a
 * symbol table of two, its hash and its names.
 */
static size_t big_endian_file(uint8_t *bytes)
{
	static const uint8_t ident[16] = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2MSB, 1};
	enum { NOTE = 0x100, DYNAMIC = 0x140, HASH = 0x180, SYMBOLS = 0x1a0, NAMES = 0x1c0,
	       END = 0x200 };
	static const uint32_t segments[3][8] = {
		{PT_LOAD, 0, 0x10000, 0x10000, END, END, PF_R | PF_X, 0x1000},
		{PT_NOTE, NOTE, 0x10000 + NOTE, 0, 20, 20, PF_R, 4},
		{PT_DYNAMIC, DYNAMIC, 0x10000 + DYNAMIC, 0, 48, 48, PF_R, 4},
	};
	static const uint32_t dynamic[6][2] = {
		{DT_HASH, 0x10000 + HASH},   {DT_SYMTAB, 0x10000 + SYMBOLS},
		{DT_STRTAB, 0x10000 + NAMES}, {DT_STRSZ, 8},
		{DT_SONAME, 1},		      {DT_NULL, 0},
	};
	uint8_t *at = bytes + sizeof(ident);

	memset(bytes, 0, END);
	memcpy(bytes, ident, sizeof(ident));
	at = put(put(put(put(at, ET_DYN, 2), EM_PPC, 2), 1, 4), 0x10180, 4);
	at = put(put(put(put(at, 52, 4), 0, 4), 0, 4), 52, 2);
	at = put(put(at, 32, 2), 3, 2);
	at = bytes + 52;
	for (int i = 0; i < 3; i++)
		for (int n = 0; n < 8; n++)
			at = put(at, segments[i][n], 4);
	at = put(put(put(bytes + NOTE, 4, 4), 4, 4), NT_GNU_BUILD_ID, 4);
	memcpy(at, "GNU", 4);
	put(at + 4, 0x01020304, 4);
	at = bytes + DYNAMIC;
	for (int i = 0; i < 6; i++)
		at = put(put(at, dynamic[i][0], 4), dynamic[i][1], 4);
	put(put(put(put(bytes + HASH, 1, 4), 2, 4), 1, 4), 0, 4);
	at = put(put(put(bytes + SYMBOLS + 16, 4, 4), 0x10180, 4), 0x20, 4);
	put(put(at, ELF32_ST_INFO(STB_GLOBAL, STT_FUNC), 1), 0, 1);
	put(at + 2, 1, 2);
	memcpy(bytes + NAMES, "\0so\0fun", 8);
	return END;
}

static void a_big_endian_file_is_read(void **state)
{
	static const uint8_t id[] = {1, 2, 3, 4};
	struct memory_buffer buffer;
	struct image_symbol symbol;
	uint8_t bytes[1024];
	struct image *image;
	const uint8_t *read;
	struct err err;
	size_t len;

	(void)state;
	memory_buffer_init(&buffer, 0, bytes, big_endian_file(bytes));
	assert_int_equal(image_open(&buffer.memory, &image, &err), 0);
	assert_true(image_is_big_endian(image));
	assert_int_equal(image_machine(image), EM_PPC);
	assert_int_equal(image_entry(image), 0x10180);
	read = image_build_id(image, &len);
	assert_int_equal(len, sizeof(id));
	assert_memory_equal(read, id, sizeof(id));
	assert_true(image_symbol_find(image, "fun", &symbol));
	assert_int_equal(symbol.value, 0x10180);
	assert_int_equal(symbol.size, 0x20);
	assert_true(image_symbol_at(image, 0x1019f, &symbol));
	assert_string_equal(symbol.name, "fun");
	image_close(image);
	bytes[EI_DATA] = 3;
	assert_int_equal(image_open(&buffer.memory, &image, &err), -EINVAL);
	assert_string_equal(err.text, "broken ELF header: byte order 3");
}

static void a_function_around_all_is_not_looked_for(void **state)
{
	enum { SYMBOLS = 200000, LOOKUPS = 50000 };
	struct image_symbol symbol;
	struct memory_buffer memory;
	double began = work_seconds();
	struct image *image;
	Elf64_Sym *symbols;
	uint8_t *names, *bytes;
	size_t len;

	(void)state;
	bytes = file_of_symbols(SYMBOLS, 4, &symbols, &names, &len);
	for (Elf64_Word i = 0; i < SYMBOLS; i++) {
		symbols[i] = function;
		symbols[i].st_value += 8 * i;
		symbols[i].st_size = i ? 4 : 8 * SYMBOLS;
	}
	names[1] = 'f';
	memory_buffer_init(&memory, 0, bytes, len);
	assert_int_equal(image_open(&memory.memory, &image, NULL), 0);
	assert_true(image_symbol_at(image, 0x1000 + 8 * 100 + 6, &symbol));
	assert_int_equal(symbol.value, 0x1000);
	for (unsigned i = 0; i < LOOKUPS; i++)
		assert_false(image_symbol_at(image, 0x1000 + 8 * (SYMBOLS - 1 - i) + 6, &symbol));
	assert_true(work_seconds() - began < 30 * work_unit());
	image_close(image);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_read),
		cmocka_unit_test(build_id_is_libelfs),
		cmocka_unit_test(names_are_found_as_the_loader_finds_them),
		cmocka_unit_test(every_symbol_is_visited),
		cmocka_unit_test(an_address_has_the_name_of_its_function),
		cmocka_unit_test(unwind_sections_are_the_same_from_everywhere),
		cmocka_unit_test(bytes_are_read_by_address),
		cmocka_unit_test(what_is_no_elf_file_is_refused),
		cmocka_unit_test(a_table_that_changes_is_no_more_than_empty),
		cmocka_unit_test(names_are_hashed_within_reason),
		cmocka_unit_test(a_big_endian_file_is_read),
		cmocka_unit_test(a_function_around_all_is_not_looked_for),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
