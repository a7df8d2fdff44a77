/* /proc/PID/maps: the kernel's forms, and what is not one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "elf/maps.h"

static const char text[] =
	"55d0a000-55d0b000 r--p 00000000 08:01 1048601                            /usr/bin/a "
	"b\n"
	"55d0b000-55d0c000 r-xp 00001000 fe:1f 1048601                            /usr/bin/x "
	"(deleted)\n"
	"55d0d000-55d0e000 rw-s 00000000 00:00 0 \n"
	"7f0000000000-7f0000001000 ---p 00000000 00:00 0\n"
	"7f0000002000-7f0000003000 rw-p 00000000 00:05 7                          "
	"/tmp/one\\012two\n"
	"7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

static void every_field_is_read(void **state)
{
	struct maps maps;
	struct err err = {0};
	const struct mapping *m;

	(void)state;
	assert_int_equal(maps_parse(text, sizeof(text) - 1, &maps, &err), 0);
	assert_int_equal(maps.list.len, 7);
	m = &maps.list.at[0];
	assert_int_equal(m->begin, 0x55d0a000);
	assert_int_equal(m->end, 0x55d0b000);
	assert_int_equal(m->dev, makedev(8, 1));
	assert_int_equal(m->inode, 1048601);
	assert_string_equal(m->path, "/usr/bin/a b");
	assert_true(m->read && !m->write && !m->exec && !m->shared && !m->deleted);
	m = &maps.list.at[1];
	assert_int_equal(m->offset, 0x1000);
	assert_int_equal(m->dev, makedev(0xfe, 0x1f));
	assert_string_equal(m->path, "/usr/bin/x");
	assert_true(m->read && !m->write && m->exec && m->deleted);
	m = &maps.list.at[2];
	assert_string_equal(m->path, "");
	assert_true(m->write && m->shared);
	assert_string_equal(maps.list.at[3].path, "");
	assert_string_equal(maps.list.at[4].path, "/tmp/one\ntwo");
	assert_string_equal(maps.list.at[5].path, "[stack]");
	assert_true(maps.list.at[6].end == 0xffffffffff601000);
	maps_deinit(&maps);
}

static void an_address_is_found_in_its_mapping(void **state)
{
	struct maps maps;

	(void)state;
	assert_int_equal(maps_parse(text, sizeof(text) - 1, &maps, NULL), 0);
	assert_null(maps_find(&maps, 0));
	assert_null(maps_find(&maps, 0x55d09fff));
	assert_ptr_equal(maps_find(&maps, 0x55d0a000), &maps.list.at[0]);
	assert_ptr_equal(maps_find(&maps, 0x55d0afff), &maps.list.at[0]);
	assert_ptr_equal(maps_find(&maps, 0x55d0b000), &maps.list.at[1]);
	assert_null(maps_find(&maps, 0x55d0c000));
	assert_ptr_equal(maps_find(&maps, 0xffffffffff600fff), &maps.list.at[6]);
	assert_null(maps_find(&maps, UINT64_MAX));
	maps_deinit(&maps);
}

static void what_is_no_map_is_refused(void **state)
{
	static const char *const bad[] = {
		"x\n",
		"1000-2000\n",
		"1000-2000 rwx 0 08:01 1\n",
		"1000-2000 rwzp 0 08:01 1\n",
		"2000-1000 rwxp 0 08:01 1\n",
		"1000-1000 rwxp 0 08:01 1\n",
		"1000-2000 rwxp 0 0801 1\n",
		"1000-2000 rwxp 0 08:01 x\n",
		"10000000000000000-20000000000000000 rwxp 0 08:01 1\n",
	};
	struct maps maps;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err.code = 0;
		assert_int_equal(maps_parse(bad[i], strlen(bad[i]), &maps, &err), -EINVAL);
		assert_int_equal(err.code, -EINVAL);
	}
}

/* Read in pieces, between which mappings were merged and split. */
static void what_was_said_stands(void **state)
{
	static const char torn[] = "1000-3000 rw-p 00000000 08:01 1 /a\n"
				   "2000-5000 r-xp 00001000 08:01 1 /a\n"
				   "4000-5000 r-xp 00003000 08:01 1 /a\n"
				   "4800-6000 rw-p 00000000 00:00 0\n";
	struct maps maps;

	(void)state;
	assert_int_equal(maps_parse(torn, strlen(torn), &maps, NULL), 0);
	assert_int_equal(maps.list.len, 3);
	assert_int_equal(maps.list.at[1].begin, 0x3000);
	assert_int_equal(maps.list.at[1].end, 0x5000);
	assert_int_equal(maps.list.at[1].offset, 0x2000);
	assert_int_equal(maps.list.at[2].begin, 0x5000);
	assert_int_equal(maps.list.at[2].offset, 0);
	maps_deinit(&maps);
}

static void our_own_map_is_read(void **state)
{
	struct maps maps;
	struct err err;
	const struct mapping *m;

	(void)state;
	assert_int_equal(maps_read(getpid(), &maps, &err), 0);
	m = maps_find(&maps, (uintptr_t)our_own_map_is_read);
	assert_non_null(m);
	assert_true(m->exec && m->path[0] == '/');
	m = maps_find(&maps, (uintptr_t)&m);
	assert_non_null(m);
	assert_true(m->write);
	maps_deinit(&maps);
	assert_int_equal(maps_read(-1, &maps, &err), -ENOENT);
}

/* The text is the same for "a\\012b" and "a<newline>b", for a file "c (deleted)" and one "c"
 * that is gone. */
static void names_are_those_of_the_files(void **state)
{
	static const char *const names[] = {"a\\012b",	   "a\nb",	 "a\nb\\012\\012c",
					    "c (deleted)", "gone \\013", "gone"};
	enum { COUNT = sizeof(names) / sizeof(names[0]) };
	char folder[] = "/tmp/memtrace-maps-XXXXXX", path[COUNT][128];
	void *at[COUNT];
	struct maps maps;
	struct err err;

	(void)state;
	assert_non_null(mkdtemp(folder));
	for (int i = 0; i < COUNT; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%s", folder, names[i]);
		int fd = open(path[i], O_RDWR | O_CREAT, 0600);

		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, 4096), 0);
		at[i] = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
		assert_ptr_not_equal(at[i], MAP_FAILED);
		close(fd);
	}
	assert_int_equal(unlink(path[COUNT - 1]), 0);
	assert_int_equal(maps_read(getpid(), &maps, &err), 0);
	for (int i = 0; i < COUNT; i++) {
		const struct mapping *m = maps_find(&maps, (uintptr_t)at[i]);

		assert_non_null(m);
		assert_string_equal(m->path, path[i]);
		assert_int_equal(m->deleted, i == COUNT - 1);
		munmap(at[i], 4096);
		unlink(path[i]);
	}
	maps_deinit(&maps);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_read),
		cmocka_unit_test(an_address_is_found_in_its_mapping),
		cmocka_unit_test(what_is_no_map_is_refused),
		cmocka_unit_test(what_was_said_stands),
		cmocka_unit_test(our_own_map_is_read),
		cmocka_unit_test(names_are_those_of_the_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
