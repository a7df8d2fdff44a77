/* Lists of generated code in the memory of a process, which may say anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "capture/jit_objects.h"

enum { ENTRIES = 6, CODE = 0x100000, CODE_LEN = 0x100, LARGEST = 64 << 20, REGISTER = 1, UNREGISTER = 2 };

struct elf_file {
	ElfW(Ehdr) head;
	ElfW(Shdr) sections[2];
};

struct code_entry {
	struct code_entry *next, *prev;
	const struct elf_file *file;
	uint64_t size;
};

/* The process: what is readable of it. */
static struct process {
	struct {
		uint32_t version, action;
		struct code_entry *relevant, *first;
	} descriptor, other;
	struct code_entry entries[ENTRIES];
	struct elf_file files[ENTRIES];
} process;

static int read_process(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	taddr_t at = addr - (uintptr_t)&process;

	(void)memory;
	if (at > sizeof(process) || len > sizeof(process) - at)
		return -1;
	memcpy(buf, (const uint8_t *)&process + at, len);
	return 0;
}

static struct memory memory = {read_process};

/* Entry i has a file with code of its own; each leads to the next, the last to `end`. */
static void show(size_t count, uint64_t size, struct code_entry *end)
{
	const struct arch *arch = arch_native();

	memset(&process, 0, sizeof(process));
	process.descriptor.version = 1;
	process.descriptor.first = process.entries;
	for (size_t i = 0; i < count; i++) {
		struct elf_file *file = &process.files[i];

		process.entries[i].next = i + 1 < count ? &process.entries[i + 1] : end;
		process.entries[i].file = file;
		process.entries[i].size = size;
		memcpy(file->head.e_ident, ELFMAG, SELFMAG);
		file->head.e_ident[EI_CLASS] = (uint8_t)arch->elf_class;
		file->head.e_ident[EI_DATA] = arch->big_endian ? ELFDATA2MSB : ELFDATA2LSB;
		file->head.e_type = ET_EXEC;
		file->head.e_machine = arch->elf_machine;
		file->head.e_shoff = offsetof(struct elf_file, sections);
		file->head.e_shentsize = sizeof(file->sections[0]);
		file->head.e_shnum = 2;
		file->sections[1].sh_type = SHT_PROGBITS;
		file->sections[1].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
		file->sections[1].sh_addr = (ElfW(Addr))(CODE * (i + 1));
		file->sections[1].sh_size = CODE_LEN;
	}
}

static struct jit_objects begin(void)
{
	return (struct jit_objects){.count = 1, .lists = {{.at = (uintptr_t)&process.descriptor, .instance = 1}}};
}

static bool is_shown(const struct jit_objects *objects, size_t i)
{
	return jit_objects_find(objects, CODE * (i + 1) + 1);
}

static void tell(struct jit_objects *objects, uint32_t action, size_t i)
{
	process.descriptor.action = action;
	process.descriptor.relevant = &process.entries[i];
	jit_objects_told(objects, &memory, arch_native(), 1);
}

/* Of 256 MB in all, each may be as large as one may: what one takes back is room for the next. */
static void files_have_a_limit(void **state)
{
	struct jit_objects objects = begin();

	(void)state;
	show(ENTRIES, LARGEST, NULL);
	assert_true(jit_objects_update(&objects, &memory, arch_native(), true));
	for (size_t i = 0; i < ENTRIES; i++)
		assert_int_equal(is_shown(&objects, i), i < 4);
	tell(&objects, REGISTER, 5);
	assert_false(is_shown(&objects, 5));
	tell(&objects, UNREGISTER, 0);
	tell(&objects, REGISTER, 5);
	assert_false(is_shown(&objects, 0));
	assert_true(is_shown(&objects, 5));
	tell(&objects, REGISTER, 4);
	assert_false(is_shown(&objects, 4));
	jit_objects_clear(&objects);
	show(1, LARGEST + 1, NULL);
	objects = begin();
	jit_objects_update(&objects, &memory, arch_native(), true);
	assert_false(is_shown(&objects, 0));
	jit_objects_clear(&objects);
}

/* .. at any of its entries, of files or of nothing. */
static void a_list_that_leads_back_into_itself_has_an_end(void **state)
{
	(void)state;
	alarm(60); /* it went on for ever where there were no files */
	for (size_t to = 0; to < ENTRIES; to++)
		for (int files = 0; files < 2; files++) {
			struct jit_objects objects = begin();

			show(ENTRIES, sizeof(struct elf_file), &process.entries[to]);
			if (!files)
				memset(process.files, 0, sizeof(process.files));
			assert_true(jit_objects_update(&objects, &memory, arch_native(), true));
			assert_int_equal(is_shown(&objects, ENTRIES - 1), files);
			assert_in_range(objects.shown.len, files ? ENTRIES : 0, files ? 4 * ENTRIES : 0);
			jit_objects_clear(&objects);
		}
	alarm(0);
}

static void what_a_library_that_is_gone_has_shown_is_no_more(void **state)
{
	const struct modules none = {.mapped = {.len = 0}};
	struct jit_objects objects = begin();

	(void)state;
	show(1, sizeof(struct elf_file), NULL);
	jit_objects_update(&objects, &memory, arch_native(), true);
	assert_true(is_shown(&objects, 0));
	jit_objects_locate(&objects, &none);
	assert_false(is_shown(&objects, 0));
	jit_objects_clear(&objects);
}

static struct jit_objects begin_two(void)
{
	struct jit_objects objects = begin();

	objects.lists[objects.count++] = (struct jit_list){.at = (uintptr_t)&process.other, .instance = 2};
	return objects;
}

/* .. what it is about to say is not true yet: its entry is one that is no more. */
static void a_list_that_another_thread_is_changing(void **state)
{
	struct jit_objects objects = begin_two();

	(void)state;
	show(ENTRIES, sizeof(struct elf_file), NULL);
	process.entries[0].next = NULL; /* the others are shown later */
	assert_true(jit_objects_update(&objects, &memory, arch_native(), true));
	process.descriptor.first = NULL;
	tell(&objects, UNREGISTER, 0);
	assert_false(is_shown(&objects, 0));
	process.descriptor.action = REGISTER; /* and then its entry, and the list */
	process.other.action = REGISTER;
	process.other.relevant = process.other.first = &process.entries[3];
	jit_objects_told(&objects, &memory, arch_native(), 2);
	assert_false(is_shown(&objects, 0));
	assert_true(is_shown(&objects, 3));
	tell(&objects, REGISTER, 1);
	assert_true(is_shown(&objects, 1));
	assert_true(is_shown(&objects, 3));
	jit_objects_clear(&objects);
}

/* A library's function is called with another one's list changed: the linker has chosen so. */
static void a_function_of_another_library(void **state)
{
	struct jit_objects objects = begin_two();

	(void)state;
	show(ENTRIES, sizeof(struct elf_file), NULL);
	process.entries[0].next = NULL;
	assert_true(jit_objects_update(&objects, &memory, arch_native(), true));
	process.descriptor.action = REGISTER;
	process.descriptor.relevant = &process.entries[4];
	jit_objects_told(&objects, &memory, arch_native(), 2);
	assert_true(is_shown(&objects, 4));
	process.descriptor.relevant = &process.entries[5];
	jit_objects_told(&objects, &memory, arch_native(), 3); /* .. of one that has none */
	assert_true(is_shown(&objects, 5));
	jit_objects_clear(&objects);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_have_a_limit),
		cmocka_unit_test(a_list_that_leads_back_into_itself_has_an_end),
		cmocka_unit_test(a_list_that_another_thread_is_changing),
		cmocka_unit_test(a_function_of_another_library),
		cmocka_unit_test(what_a_library_that_is_gone_has_shown_is_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
