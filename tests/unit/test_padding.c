/*
 * Room behind a module's code: of the modules of this very process, and of made-up ones
 * where one thing is wrong at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hook/padding.h"

/* ---- real ones --------------------------------------------------------------- */

struct fixture {
	struct maps maps;
	struct modules modules;
};

static int setup(void **state)
{
	static struct fixture f;

	modules_init(&f.modules, NULL);
	*state = &f;
	return maps_read(getpid(), &f.maps, NULL) ||
	       modules_update(&f.modules, getpid(), &f.maps, NULL, NULL, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	modules_deinit(&f->modules);
	maps_deinit(&f->maps);
	return 0;
}

static const struct module *module_of(const struct fixture *f, const void *pointer)
{
	return modules_find(&f->modules, (taddr_t)(uintptr_t)pointer);
}

/* Whatever is used must be mapped, executable, not writable, behind the code, and what the
 * file says of it must be what is there. */
static void of_this_process(void **state)
{
	struct fixture *f = *state;
	size_t found = 0;

	for (size_t i = 0; i < f->modules.mapped.len; i++) {
		const struct module *module = f->modules.mapped.at[i];
		const struct mapping *mapping;
		struct space space;
		uint8_t *old;

		if (!padding_of(module, &f->maps, &space))
			continue;
		found++;
		mapping = maps_find(&f->maps, space.base);
		assert_non_null(mapping);
		assert_true(mapping->exec && !mapping->write);
		assert_int_equal(space.base % 16, 0);
		assert_true(space.len > 0 && space.len < 65536);
		assert_true(space.base + space.len == mapping->end);
		assert_int_equal(space.host, module->instance);
		assert_false(module->vdso);
		old = malloc(space.len);
		assert_int_equal(padding_original(module, &space, old, space.len), 0);
		assert_memory_equal((const void *)(uintptr_t)space.base, old, space.len);
		free(old);
	}
	assert_true(found >= 2); /* this program, and libc at least */
}

static void none_in_the_vdso(void **state)
{
	struct fixture *f = *state;
	struct space space;

	for (size_t i = 0; i < f->modules.mapped.len; i++)
		if (f->modules.mapped.at[i]->vdso)
			assert_false(padding_of(f->modules.mapped.at[i], &f->maps, &space));
}

static void none_without_a_mapping(void **state)
{
	struct fixture *f = *state;
	struct module module = *module_of(f, (const void *)(uintptr_t)setup);
	struct maps nothing = {.text = NULL};
	struct space space;

	assert_true(padding_of(&module, &f->maps, &space));
	assert_false(padding_of(&module, &nothing, &space));
	module.mapped = false;
	assert_false(padding_of(&module, &f->maps, &space));
	module.mapped = true;
	module.image = NULL;
	assert_false(padding_of(&module, &f->maps, &space));
}

/* ---- made-up ones --------------------------------------------------------------- */

enum { BIAS = 0x40000000, FILE_LEN = 0x3000 };

/* A file of one executable segment [0x1000, 0x1000 + file_size), and one of data. */
struct made {
	uint8_t file[FILE_LEN];
	struct memory_buffer memory;
	struct module module;
	struct maps maps;
};

static uint64_t another; /* vaddr of a second executable segment; 0: there is none */

static void make(struct made *m, uint64_t file_size, uint64_t mem_size, const char *maps)
{
	Elf64_Ehdr head = {.e_type = ET_DYN,
			   .e_machine = EM_X86_64,
			   .e_version = EV_CURRENT,
			   .e_phoff = sizeof(head),
			   .e_ehsize = sizeof(head),
			   .e_phentsize = sizeof(Elf64_Phdr),
			   .e_phnum = another ? 3 : 2};
	Elf64_Phdr segments[3] = {
		{PT_LOAD, PF_R | PF_W, 0, 0, 0, 0x200, 0x200, 0x1000},
		{PT_LOAD, PF_R | PF_X, 0x1000, 0x1000, 0x1000, file_size, mem_size, 0x1000},
		{PT_LOAD, PF_R | PF_X, another, another, another, 0x100, 0x100, 0x1000},
	};
	struct err err = {0};

	memset(m, 0, sizeof(*m));
	memcpy(head.e_ident, ELFMAG, SELFMAG);
	head.e_ident[EI_CLASS] = ELFCLASS64;
	head.e_ident[EI_DATA] = ELFDATA2LSB;
	head.e_ident[EI_VERSION] = EV_CURRENT;
	for (size_t i = 0; i < FILE_LEN; i++)
		m->file[i] = (uint8_t)(i >> 4);
	memcpy(m->file, &head, sizeof(head));
	memcpy(m->file + head.e_phoff, segments, sizeof(segments));
	memory_buffer_init(&m->memory, 0, m->file, FILE_LEN);
	m->module = (struct module){
		.instance = 7, .bias = BIAS, .mapped = true, .source = &m->memory.memory};
	if (image_open(&m->memory.memory, &m->module.image, &err))
		fail_msg("%s", err.text);
	if (maps_parse(maps, strlen(maps), &m->maps, &err))
		fail_msg("%s", err.text);
}

static void unmake(struct made *m)
{
	image_close(m->module.image);
	maps_deinit(&m->maps);
}

#define DATA	     "40000000-40001000 rw-p 00000000 08:01 5 /lib/x.so\n"
#define CODE(rights) DATA "40001000-40002000 " rights " 00001000 08:01 5 /lib/x.so\n"

static bool has_padding(uint64_t file_size, uint64_t mem_size, const char *maps,
			struct space *space)
{
	struct made m;
	bool found;

	make(&m, file_size, mem_size, maps);
	found = padding_of(&m.module, &m.maps, space);
	unmake(&m);
	return found;
}

static void its_place_and_size(void **state)
{
	struct space space;

	(void)state;
	assert_true(has_padding(0x7f1, 0x7f1, CODE("r-xp"), &space));
	assert_int_equal(space.base, 0x40001800); /* from 0x...7f1 up to 16 */
	assert_int_equal(space.len, 0x800);
	assert_int_equal(space.host, 7);
	assert_true(has_padding(0x800, 0x800, CODE("r-xp"), &space));
	assert_int_equal(space.base, 0x40001800);
	assert_true(has_padding(0x800, 0x800, CODE("--xp"), &space));
	/* 16 bytes are some, the page's last 15 are none. */
	assert_true(has_padding(0xff0, 0xff0, CODE("r-xp"), &space));
	assert_int_equal(space.len, 16);
	assert_false(has_padding(0xff1, 0xff1, CODE("r-xp"), &space));
	assert_false(has_padding(0x1000, 0x1000, CODE("r-xp"), &space));
}

static void not_in_memory_that_others_use(void **state)
{
	struct space space;

	(void)state;
	assert_false(has_padding(0x800, 0x800, CODE("rwxp"), &space)); /* musl's malloc */
	assert_false(has_padding(0x800, 0x800, CODE("r-xs"), &space));
	assert_false(has_padding(0x800, 0x800, CODE("r--p"), &space));
	assert_false(has_padding(0x800, 0x900, CODE("r-xp"), &space)); /* .bss */
	assert_false(has_padding(0x800, 0x800, DATA, &space));	       /* not mapped */
	/* Further away than any page ends: mapped by somebody else. */
	assert_false(has_padding(0x800, 0x800,
				 DATA "40001000-40020000 r-xp 00001000 08:01 5 /lib/x.so\n",
				 &space));
	assert_true(has_padding(0x800, 0x800,
				DATA "40001000-40011000 r-xp 00001000 08:01 5 /lib/x.so\n",
				&space));
	assert_int_equal(space.len, 0xf800);
}

/* Two segments that are mapped alike, side by side, are one mapping. */
static void not_in_another_segment(void **state)
{
	struct space space;

	(void)state;
	another = 0x2000;
	assert_true(has_padding(0x800, 0x800,
				DATA "40001000-40003000 r-xp 00001000 08:01 5 /lib/x.so\n",
				&space));
	assert_int_equal(space.base, 0x40001800);
	assert_int_equal(space.len, 0x800);
	/* That of the second is free up to the mapping's end. */
	assert_true(has_padding(0x1000, 0x1000,
				DATA "40001000-40003000 r-xp 00001000 08:01 5 /lib/x.so\n",
				&space));
	assert_int_equal(space.base, 0x40002100);
	assert_int_equal(space.len, 0xf00);
	another = 0;
}

static void what_the_file_has_there(void **state)
{
	struct made m;
	struct space space;
	uint8_t old[0x1000];

	(void)state;
	/* The next segment's bytes may follow; behind the file's end are zeros. */
	make(&m, 0x7f1, 0x7f1, CODE("r-xp"));
	assert_true(padding_of(&m.module, &m.maps, &space));
	assert_int_equal(padding_original(&m.module, &space, old, space.len), 0);
	assert_memory_equal(old, m.file + 0x1800, 0x800);
	m.memory.len = 0x1810;
	memset(old, 0xa5, sizeof(old));
	assert_int_equal(padding_original(&m.module, &space, old, 0x20), 0);
	assert_memory_equal(old, m.file + 0x1800, 0x10);
	for (size_t i = 0x10; i < 0x20; i++)
		assert_int_equal(old[i], 0);
	assert_int_equal(old[0x20], 0xa5);
	/* Only zeros are known of a file that can't be read. */
	m.module.source = NULL;
	memset(old, 0xa5, sizeof(old));
	assert_int_equal(padding_original(&m.module, &space, old, 2), 0);
	assert_int_equal(old[0] | old[1], 0);
	/* A place that is in no segment. */
	space.base = BIAS + 0x200;
	assert_int_equal(padding_original(&m.module, &space, old, 2), -EFAULT);
	unmake(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(of_this_process, setup, teardown),
		cmocka_unit_test_setup_teardown(none_in_the_vdso, setup, teardown),
		cmocka_unit_test_setup_teardown(none_without_a_mapping, setup, teardown),
		cmocka_unit_test(its_place_and_size),
		cmocka_unit_test(not_in_memory_that_others_use),
		cmocka_unit_test(not_in_another_segment),
		cmocka_unit_test(what_the_file_has_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
