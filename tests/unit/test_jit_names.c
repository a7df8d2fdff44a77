/* What a runtime writes down of generated code: two formats, one table, and keys that stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "elf/jit_names.h"

static void add_text(struct jit_functions *functions, const char *text)
{
	struct memory_buffer file;
	uint64_t at = 0;

	memory_buffer_init(&file, 0, text, strlen(text));
	assert_int_equal(jit_read_perf_map(&file.memory, 0, &at, strlen(text), functions), 0);
	assert_true(jit_functions_merge(functions));
}

static void expect_list(const struct jit_functions *functions, const char *expected)
{
	char text[512] = "";

	for (size_t i = 0; i < functions->list.len; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%lx-%lx ",
			 (unsigned long)functions->list.at[i].begin,
			 (unsigned long)functions->list.at[i].end);
	assert_string_equal(text, expected);
}

static void lines_that_are_none_are_passed_over(void **state)
{
	struct jit_functions functions = {0};

	(void)state;
	add_text(&functions, "1000 10 a\n"
			     "\n"
			     "nonsense\n"
			     "2000\n"
			     "2000 10\n"	 /* no name */
			     "2000 0 empty\n"
			     "0 10 null\n"
			     "fffffffffff0 20 beyond what a frame holds\n"
			     "ffffffffffffffff 2 over the end\n"
			     "10000000000000000 2 more than 64 bits\n"
			     "0x3000 0X10 with 0x\n"
			     "4000 10 name with  blanks\r\n"
			     "5000 10 unfinished");
	expect_list(&functions, "1000-1010 3000-3010 4000-4010 ");
	jit_functions_deinit(&functions);
}

static void what_is_newer_lies_above(void **state)
{
	struct jit_functions functions = {0};

	(void)state;
	add_text(&functions, "1000 100 large\n2000 10 a\n2010 10 b\n2020 10 c\n3000 10 d\n");
	expect_list(&functions, "1000-1100 2000-2010 2010-2020 2020-2030 3000-3010 ");
	add_text(&functions, "1080 10 in the midst\n2008 20 over three\n3000 8 shorter\n");
	expect_list(&functions, "1080-1090 2008-2028 3000-3008 ");
	/* Within one piece the later line counts, also where it begins before. */
	add_text(&functions, "4010 10 old\n4020 10 old\n4000 100 new\n5000 100 old\n5010 10 new\n");
	expect_list(&functions, "1080-1090 2008-2028 3000-3008 4000-4100 5010-5020 ");
	assert_null(jit_functions_find(&functions, 0x107f));
	assert_int_equal(jit_functions_find(&functions, 0x1080)->begin, 0x1080);
	assert_int_equal(jit_functions_find(&functions, 0x108f)->begin, 0x1080);
	assert_null(jit_functions_find(&functions, 0x1090));
	assert_null(jit_functions_find(&functions, 0x5020));
	jit_functions_deinit(&functions);
}

static void a_long_line_ends_with_its_newline(void **state)
{
	enum { LONG = 200000 };
	struct jit_functions functions = {0};
	char *text = malloc(LONG + 64);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', LONG);
	memcpy(text, "1000 10 ", 8);
	strcpy(text + LONG, "\n2000 10 a\n");
	add_text(&functions, text);
	expect_list(&functions, "2000-2010 ");
	free(text);
	jit_functions_deinit(&functions);
}

/* ---- jitdump ------------------------------------------------------------------------------ */

static size_t put(uint8_t *to, size_t at, uint64_t value, unsigned width, bool big)
{
	for (unsigned i = 0; i < width; i++)
		to[at + (big ? width - 1 - i : i)] = (uint8_t)(value >> 8 * i);
	return at + width;
}

static size_t put_load(uint8_t *to, size_t at, uint64_t address, uint64_t size, const char *name,
		       bool big)
{
	size_t len = 56 + strlen(name) + 1 + size;

	at = put(to, at, 0, 4, big);
	at = put(to, at, len, 4, big);
	at = put(to, at, 0, 8, big);
	at = put(to, at, 7, 4, big);
	at = put(to, at, 7, 4, big);
	at = put(to, at, address, 8, big);
	at = put(to, at, address, 8, big);
	at = put(to, at, size, 8, big);
	at = put(to, at, 1, 8, big);
	memcpy(to + at, name, strlen(name) + 1);
	return at + strlen(name) + 1 + size;
}

static size_t put_header(uint8_t *to, bool big)
{
	const uint32_t words[] = {0x4a695444, 1, 40, 62, 0, 7};
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		at = put(to, at, words[i], 4, big);
	at = put(to, at, 0, 8, big);
	return put(to, at, 0, 8, big);
}

static void a_dump_of_either_order(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		struct jit_functions functions = {0};
		uint8_t bytes[512] = {0};
		struct memory_buffer file;
		char name[JIT_NAME];
		uint64_t at = 0;
		size_t first, len = put_header(bytes, big);

		len = put(bytes, len, 2, 4, big); /* JIT_CODE_DEBUG_INFO */
		len = put(bytes, len, 24, 4, big) + 16;
		first = len;
		len = put_load(bytes, len, 0x1000, 16, "first", big);
		len = put_load(bytes, len, 0x2000, 32, "second", big);
		memory_buffer_init(&file, 0, bytes, sizeof(bytes));
		/* The last record is not whole yet. */
		assert_int_equal(jit_read_dump(&file.memory, 3, &at, len - 1, &functions), 0);
		assert_true(jit_functions_merge(&functions));
		expect_list(&functions, "1000-1010 ");
		assert_int_equal(functions.list.at[0].at, first);
		assert_int_equal(functions.list.at[0].file, 3);
		assert_int_equal(jit_read_dump(&file.memory, 3, &at, len, &functions), 0);
		assert_true(jit_functions_merge(&functions));
		assert_int_equal(at, len);
		expect_list(&functions, "1000-1010 2000-2020 ");
		assert_true(jit_dump_name(&file.memory, len, &functions.list.at[1], name));
		assert_string_equal(name, "second");
		assert_false(jit_dump_name(&file.memory, len - 1, &functions.list.at[1], name));
		functions.list.at[1].begin++;
		assert_false(jit_dump_name(&file.memory, len, &functions.list.at[1], name));
		jit_functions_deinit(&functions);
	}
}

static void what_is_no_dump(void **state)
{
	struct jit_functions functions = {0};
	uint8_t bytes[128] = {0};
	struct memory_buffer file;
	uint64_t at = 0;
	size_t len = put_header(bytes, false);

	(void)state;
	memory_buffer_init(&file, 0, bytes, len);
	put(bytes, 8, 8, 4, false); /* a header smaller than it is */
	assert_int_equal(jit_read_dump(&file.memory, 0, &at, len, &functions), -EINVAL);
	put(bytes, 4, 2, 4, false); /* another version */
	assert_int_equal(jit_read_dump(&file.memory, 0, &at, len, &functions), -EINVAL);
	/* A record that would have no end. */
	put_header(bytes, false);
	put(bytes, len + 4, 0, 4, false);
	memory_buffer_init(&file, 0, bytes, sizeof(bytes));
	assert_int_equal(jit_read_dump(&file.memory, 0, &at, sizeof(bytes), &functions), 0);
	assert_int_equal(at, 40);
	assert_int_equal(functions.news.len, 0);
}

/* ---- files -------------------------------------------------------------------------------- */

static char map_path[64];

static void write_map(const char *mode, const char *text)
{
	FILE *file = fopen(map_path, mode);

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static bool update(struct jit_names *names)
{
	const struct maps none = {0};
	bool changed;

	assert_int_equal(jit_names_update(names, getpid(), &none, &changed), 0);
	return changed;
}

static void keys_stay_what_they_are_called(void **state)
{
	struct files files = {0};
	struct jit_names names;

	(void)state;
	jit_names_init(&names, &files);
	assert_false(update(&names));
	assert_int_equal(jit_names_key(&names, 0x1008), 0x1008);
	write_map("w", "1000 10 a\n2000 10 b\n");
	assert_true(update(&names));
	assert_false(update(&names));
	assert_int_equal(jit_names_key(&names, 0x1008), 0x1000);
	assert_int_equal(jit_names_key(&names, 0x100f), 0x1000);
	assert_int_equal(jit_names_key(&names, 0x1010), 0x1010);
	assert_string_equal(jit_names_find(&names, 0x1000), "a");
	/* Met before it was known. */
	assert_string_equal(jit_names_find(&names, 0x2004), "b");
	/* Other code where a was: another key. */
	write_map("a", "ff8 40 c\n1000 10 d\n");
	assert_true(update(&names));
	assert_int_equal(jit_names_key(&names, 0x1008), 0x1001);
	assert_string_equal(jit_names_find(&names, 0x1001), "d");
	assert_string_equal(jit_names_find(&names, 0x1000), "a");
	/* Written anew, larger than before: a is back, under its old key. */
	write_map("w", "1000 10 a\n3000 10 this one has a name that is long enough\n4000 10 e\n");
	assert_true(update(&names));
	assert_int_equal(jit_names_key(&names, 0x1008), 0x1000);
	assert_int_equal(jit_names_key(&names, 0x2008), 0x2008);
	assert_int_equal(jit_names_key(&names, 0x4008), 0x4000);
	jit_names_deinit(&names);
	files_deinit(&files);
	unlink(map_path);
}

/* It could lead anywhere. */
static void a_link_is_not_followed(void **state)
{
	struct files files = {0};
	struct jit_names names;
	char other[80];

	(void)state;
	jit_names_init(&names, &files);
	write_map("w", "1000 10 a\n");
	snprintf(other, sizeof(other), "%s.other", map_path);
	assert_int_equal(rename(map_path, other), 0);
	assert_int_equal(symlink(other, map_path), 0);
	assert_false(update(&names));
	assert_int_equal(jit_names_key(&names, 0x1008), 0x1008);
	unlink(map_path);
	assert_int_equal(rename(other, map_path), 0);
	assert_true(update(&names));
	assert_int_equal(jit_names_key(&names, 0x1008), 0x1000);
	jit_names_deinit(&names);
	files_deinit(&files);
	unlink(map_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_that_are_none_are_passed_over),
		cmocka_unit_test(what_is_newer_lies_above),
		cmocka_unit_test(a_long_line_ends_with_its_newline),
		cmocka_unit_test(a_dump_of_either_order),
		cmocka_unit_test(what_is_no_dump),
		cmocka_unit_test(keys_stay_what_they_are_called),
		cmocka_unit_test(a_link_is_not_followed),
	};

	snprintf(map_path, sizeof(map_path), "/tmp/perf-%d.map", getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
