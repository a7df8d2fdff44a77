/* A copy of a file's call frame information says of every place what the file's own does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <unistd.h>

#include "cfi_case.h"

enum { ALL = 1 << 30 };

struct comparison {
	struct cfi *file, *copy;
	size_t rows;
};

static bool compare(void *arg, uint64_t vaddr, const struct row *row)
{
	struct comparison *c = arg;
	struct row ours, theirs;

	assert_int_equal(cfi_row(c->file, vaddr, &theirs), cfi_row(c->copy, vaddr, &ours));
	assert_memory_equal(&ours, &theirs, sizeof(ours));
	assert_memory_equal(&ours, row, sizeof(ours));
	c->rows++;
	return false;
}

static void open_file(const char *path, struct memory_file *file, struct image **image,
		      struct cfi **cfi)
{
	memory_file_init(file, open(path, O_RDONLY | O_CLOEXEC));
	assert_int_equal(image_open(&file->memory, image, NULL), 0);
	assert_int_equal(cfi_open(*image, arch_find(image_machine(*image), image_class(*image), image_is_big_endian(*image)),
				  cfi, NULL),
			 0);
}

static void compare_file(const char *path)
{
	struct comparison c = {};
	struct cfi_bytes bytes = {};
	struct memory_file file;
	struct image *image;

	open_file(path, &file, &image, &c.file);
	cfi_copy(c.file, 0, UINT64_MAX, ALL, &bytes);
	assert_int_equal(cfi_open_copy(bytes.at, bytes.len,
				       arch_find(image_machine(image), image_class(image), image_is_big_endian(image)),
				       &c.copy, NULL),
			 0);
	cfi_rows(c.file, 0, UINT64_MAX, compare, &c);
	assert_true(c.rows > 100);
	cfi_close(c.copy);
	cfi_close(c.file);
	image_close(image);
	close(file.fd);
	vec_deinit(&bytes);
}

static int visit_object(struct dl_phdr_info *info, size_t size, void *count)
{
	(void)size;
	if (info->dlpi_name[0] != '/')
		return 0;
	compare_file(info->dlpi_name);
	++*(unsigned *)count;
	return 0;
}

/* The C library has everything: signal frames, the PLT, expressions. */
static void real_files_are_copied_whole(void **state)
{
	unsigned count = 0;

	(void)state;
	if (arch_native()->elf_machine == EM_ARM || arch_native()->elf_machine == EM_MIPS)
		skip(); /* files as they are installed have no DWARF there, or little */
	if (arch_native()->elf_machine != EM_RISCV) /* (gcc 12 makes no tables there by itself) */
		compare_file("/proc/self/exe");
	dl_iterate_phdr(visit_object, &count);
	assert_true(count >= 2);
}

static struct row row_in(const struct cfi_bytes *bytes, uint64_t vaddr)
{
	struct cfi *copy;
	struct row row;

	assert_int_equal(cfi_open_copy(bytes->at, bytes->len, &arch_x86_64, &copy, NULL), 0);
	cfi_row(copy, vaddr, &row);
	cfi_close(copy);
	return row;
}

static void the_limit_leaves_whole_entries(void **state)
{
	static const uint8_t program[] = {0x44, 0x0e, 0x10};
	struct cfi_case k;

	(void)state;
	case_begin(&k);
	put_fde(&k, put_cie(&k, "zR", 0x1b), CODE, 0x100, program, sizeof(program));
	put_fde(&k, FRAMES_AT, CODE + 0x100, 0x100, program, sizeof(program));
	assert_int_equal(case_open(&k, ".eh_frame", 0), 0);
	for (size_t max = 0; max < 100; max++) {
		struct cfi_bytes bytes = {};

		cfi_copy(k.cfi, 0, UINT64_MAX, max, &bytes);
		assert_true(bytes.len <= max);
		assert_int_equal(row_in(&bytes, CODE + 4).cfa_offset, bytes.len ? 16 : 0);
		if (max == 99)
			assert_int_equal(row_in(&bytes, CODE + 0x104).cfa_offset, 16);
		vec_deinit(&bytes);
	}
	case_close(&k);
}

/* Its operand is relative to where it stands. */
static void what_names_places_is_left_out(void **state)
{
	static const uint8_t program[] = {0x01, 0x40, 0, 0, 0, 0x0e, 0x10};
	struct cfi_bytes bytes = {};
	struct cfi_case k;

	(void)state;
	case_begin(&k);
	put_fde(&k, put_cie(&k, "zR", 0x1b), CODE, 0x100, program, sizeof(program));
	assert_int_equal(case_open(&k, ".eh_frame", 0), 0);
	cfi_copy(k.cfi, 0, UINT64_MAX, ALL, &bytes);
	assert_int_equal(bytes.len, 0);
	vec_deinit(&bytes);
	case_close(&k);
}

static void only_what_is_asked_for(void **state)
{
	static const uint8_t program[] = {0x0e, 0x10};
	struct cfi_bytes bytes = {};
	struct cfi_case k;

	(void)state;
	case_begin(&k);
	put_fde(&k, put_cie(&k, "zR", 0x1b), CODE, 0x100, program, sizeof(program));
	put_fde(&k, FRAMES_AT, CODE + 0x100, 0x100, program, sizeof(program));
	assert_int_equal(case_open(&k, ".eh_frame", 0), 0);
	cfi_copy(k.cfi, CODE + 0x100, CODE + 0x101, ALL, &bytes);
	assert_int_equal(row_in(&bytes, CODE + 0xff).cfa, ROW_CFA_NONE);
	assert_int_equal(row_in(&bytes, CODE + 0x1ff).cfa_offset, 16);
	vec_deinit(&bytes);
	case_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_files_are_copied_whole),
		cmocka_unit_test(the_limit_leaves_whole_entries),
		cmocka_unit_test(what_names_places_is_left_out),
		cmocka_unit_test(only_what_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
