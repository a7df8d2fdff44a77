/*
 * A small ELF file, damaged in thousands of ways, must never do more than fail: every
 * reader is led over every mutation.  Under the sanitizers a read outside of what the
 * file holds shows; without them, a crash or an endless loop does.
 *
 * The damage is deterministic (a fixed seed), and falls on what is parsed more often
 * than on code: headers, PT_DYNAMIC, hash tables, symbols, unwind data.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unwind/cfi.h"

enum { MUTATIONS = 4000, LIMIT_FILE = 1 << 20, ROWS = 40 };

static uint64_t seed = 20240229;

static uint64_t random_below(uint64_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return limit ? seed % limit : 0;
}

static uint8_t *original;
static size_t original_len;

/* Where the parsers look: pieces of the undamaged file. */
static struct {
	uint64_t offset, len;
} targets[256];
static size_t target_count;

static void aim_at(uint64_t offset, uint64_t len)
{
	if (target_count < ARRAY_SIZE(targets) && len && offset + len <= original_len) {
		targets[target_count].offset = offset;
		targets[target_count++].len = len;
	}
}

static int setup(void **state)
{
	int fd = open("/bin/true", O_RDONLY);
	const ElfW(Ehdr) *elf;
	const ElfW(Phdr) *headers;
	const ElfW(Shdr) *sections;
	ssize_t n;

	(void)state;
	original = malloc(LIMIT_FILE);
	n = fd < 0 || !original ? -1 : read(fd, original, LIMIT_FILE);
	close(fd);
	if (n < (ssize_t)sizeof(*elf) || n == LIMIT_FILE)
		return -1;
	original_len = (size_t)n;
	elf = (const ElfW(Ehdr) *)original;
	headers = (const ElfW(Phdr) *)(original + elf->e_phoff);
	sections = (const ElfW(Shdr) *)(original + elf->e_shoff);
	aim_at(0, sizeof(*elf));
	aim_at(elf->e_phoff, elf->e_phnum * sizeof(*headers));
	aim_at(elf->e_shoff, elf->e_shnum * sizeof(*sections));
	for (int i = 0; i < elf->e_phnum; i++) {
		if (headers[i].p_type != PT_LOAD)
			aim_at(headers[i].p_offset, headers[i].p_filesz);
	}
	for (int i = 0; i < elf->e_shnum; i++) {
		if (sections[i].sh_type != SHT_NOBITS &&
		    !(sections[i].sh_flags & SHF_EXECINSTR))
			aim_at(sections[i].sh_offset,
			       sections[i].sh_size < 512 ? sections[i].sh_size : 512);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(original);
	return 0;
}

/* Values that arithmetic breaks on, beside random ones. */
static uint8_t damage_byte(void)
{
	static const uint8_t nasty[] = {0x00, 0xff, 0x7f, 0x80, 0x01, 0xfe};

	return random_below(2) ? nasty[random_below(sizeof(nasty))]
			       : (uint8_t)random_below(256);
}

/* A damaged copy in memory of exactly its length. */
static uint8_t *mutate(size_t *len)
{
	uint64_t count = 1 + random_below(6);
	uint8_t *bytes;

	*len = random_below(8) ? original_len : random_below(original_len);
	bytes = malloc(*len + 1);
	assert_non_null(bytes);
	memcpy(bytes, original, *len);
	for (uint64_t i = 0; i < count; i++) {
		size_t target = random_below(target_count);
		uint64_t at = targets[target].offset + random_below(targets[target].len);
		uint64_t run = random_below(4) ? 1 : 1 + random_below(8);
		uint8_t byte = damage_byte();

		for (; run && at < *len; run--, at++)
			bytes[at] = random_below(2) ? byte : damage_byte();
	}
	return bytes;
}

static bool count_symbol(void *arg, const struct image_symbol *symbol)
{
	*(size_t *)arg += strlen(symbol->name) > 0;
	return false;
}

static int noise(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	(void)memory;
	memset(buf, (int)(addr >> 3), len);
	return addr % 5 ? 0 : -1;
}

static size_t use_unwind_data(struct image *image, uint64_t vaddr, uint64_t len)
{
	struct memory memory = {.read = noise};
	struct cfi *cfi;
	size_t rows = 0;

	if (cfi_open(image, arch_native(), &cfi, NULL))
		return 0;
	for (int i = 0; i < ROWS; i++) {
		struct full_regs regs = {.known = random_below(1 << 17)};
		uint64_t at = vaddr + random_below(len), cfa;
		struct row row;
		uint8_t flags;

		rows += cfi_row(cfi, at, &row) == 0;
		cfi_step(cfi, at, &memory, &regs, &cfa, &flags);
	}
	cfi_close(cfi);
	return rows;
}

static size_t use_image(struct image *image)
{
	size_t count, len, visited = 0;
	const struct image_segment *segments = image_segments(image, &count);
	struct image_symbol symbol;
	uint8_t bytes[16];
	uint32_t crc;

	image_interpreter(image);
	image_soname(image);
	image_build_id(image, &len);
	image_debuglink(image, &crc);
	image_for_each_symbol(image, count_symbol, &visited);
	image_symbol_find(image, "malloc", &symbol);
	image_symbol_find(image, "__progname", &symbol);
	for (size_t i = 0; i < count; i++) {
		image_symbol_at(image, segments[i].vaddr + random_below(segments[i].mem_size),
				&symbol);
		image_read(image, segments[i].vaddr + random_below(segments[i].mem_size), bytes,
			   sizeof(bytes));
		if (segments[i].flags & PF_X)
			visited +=
				use_unwind_data(image, segments[i].vaddr, segments[i].mem_size);
	}
	return visited;
}

static void no_damage_does_damage(void **state)
{
	size_t opened = 0, found = 0;

	(void)state;
	for (int i = 0; i < MUTATIONS; i++) {
		size_t len;
		uint8_t *bytes = mutate(&len);
		struct memory_buffer buffer;
		struct image *image;
		struct err err = {0};

		memory_buffer_init(&buffer, 0, bytes, len);
		if (!image_open(&buffer.memory, &image, &err)) {
			opened++;
			found += use_image(image);
			image_close(image);
		} else {
			assert_true(err.code < 0 && err.text[0]);
		}
		/* The same bytes as if they were mapped. */
		memory_buffer_init(&buffer, 0x10000, bytes, len);
		if (!image_open_loaded(&buffer.memory, 0x10000, &image, &err)) {
			found += use_image(image);
			image_close(image);
		}
		free(bytes);
	}
	/* The damage was neither harmless nor always fatal at once. */
	assert_in_range(opened, MUTATIONS / 10, MUTATIONS - MUTATIONS / 100);
	if (arch_native()->elf_machine == EM_ARM) /* no DWARF; its tables: fuzz_exidx */
		assert_true(found > 0);
	else
		assert_true(found > opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_damage_does_damage),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
