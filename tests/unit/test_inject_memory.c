/* The agent's memory is known among files, and its size is nobody's to change. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "region/shared.h"
#include "tracer/inject_memory.h"

#define BYTES 65536u

static int memory_file(const char *name)
{
	int file = (int)syscall(SYS_memfd_create, name, 1u | 2u);

	assert_true(file >= 0);
	return file;
}

static void test_known_by_what_it_is(void **state)
{
	struct maps maps = {0};
	struct err err;
	unsigned found = 0;
	int file = memory_file("memtrace-agent"), other = memory_file("memtrace-other");
	void *at, *at_other, *at_memtrace;

	(void)state;
	assert_int_equal(inject_seal(file, BYTES, &err), 0);
	assert_int_equal(ftruncate(other, BYTES), 0);
	at = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, file, 0);
	at_other = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, other, 0);
	/* as a memtrace has it that watches this process, and may be watched itself */
	at_memtrace = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_true(at != MAP_FAILED && at_other != MAP_FAILED && at_memtrace != MAP_FAILED);
	assert_int_equal(maps_read(getpid(), &maps, &err), 0);
	for (size_t i = 0; i < maps.list.len; i++)
		if (inject_is_memory(&maps.list.at[i])) {
			assert_int_equal(maps.list.at[i].begin, (taddr_t)(uintptr_t)at);
			found++;
		}
	assert_int_equal(found, 1);
	maps_deinit(&maps);
	assert_true(inject_is_descriptor(getpid(), file));
	assert_false(inject_is_descriptor(getpid(), other));
	assert_int_equal(inject_find_descriptor(getpid()), file);
	munmap(at, BYTES);
	munmap(at_other, BYTES);
	munmap(at_memtrace, BYTES);
	close(file);
	close(other);
	assert_int_equal(inject_find_descriptor(getpid()), -1);
}

/* A file of that name on a disk, or on FUSE, is none: it must not be opened. */
static void test_name_alone_is_nothing(void **state)
{
	char path[] = "/tmp/memtrace-XXXXXX";
	int file = mkstemp(path);
	struct stat stat;
	struct mapping mapping = {.begin = 65536, .end = 65536 + BYTES, .read = true, .shared = true,
				  .path = SHARED_PATH};

	(void)state;
	assert_true(file >= 0 && !fstat(file, &stat));
	mapping.dev = stat.st_dev;
	assert_false(inject_is_memory(&mapping));
	unlink(path);
	close(file);
}

static void test_size_is_sealed(void **state)
{
	int file = memory_file("memtrace-agent");
	struct err err;

	(void)state;
	assert_int_equal(ftruncate(file, BYTES), 0);
	assert_false(inject_is_sealed(file, BYTES));
	assert_int_equal(inject_seal(file, BYTES, &err), 0);
	assert_true(inject_is_sealed(file, BYTES));
	assert_false(inject_is_sealed(file, BYTES * 2));
	assert_int_equal(ftruncate(file, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(file, BYTES * 2), -1);
	close(file);
}

/* Nobody else's seals, and nothing that has none. */
static void test_what_can_not_be_sealed(void **state)
{
	int file = memory_file("memtrace-agent");
	struct err err;

	(void)state;
	assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_SEAL), 0);
	assert_int_equal(inject_seal(file, BYTES, &err), -EPERM);
	assert_non_null(strstr(err.text, "can't be sealed"));
	assert_false(inject_is_sealed(file, BYTES));
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_by_what_it_is),
		cmocka_unit_test(test_name_alone_is_nothing),
		cmocka_unit_test(test_size_is_sealed),
		cmocka_unit_test(test_what_can_not_be_sealed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
