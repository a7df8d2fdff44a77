/*
 * Memory of another process: every way to read and write it, by itself; and where memory
 * ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/ptrace.h>

#include "child_case.h"
#include "tracer/target.h"

/* Two pages of a known pattern, the second one read-only, and none behind.  The child has
 * a copy at the same place. */
static uint8_t *place;
static size_t page;

struct fixture {
	struct child_case child;
	struct target target;
};

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + i / 256);
}

static int make_place(void **state)
{
	(void)state;
	page = (size_t)sysconf(_SC_PAGESIZE);
	place = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (place == MAP_FAILED || munmap(place + 2 * page, page))
		return -1;
	for (size_t i = 0; i < 2 * page; i++)
		place[i] = pattern(i);
	return mprotect(place + page, page, PROT_READ);
}

static int start(void **state)
{
	static struct fixture f;
	struct err err;

	f.child = child_start(child_idle, NULL);
	child_hear(&f.child);
	if (target_open(&f.target, f.child.pid, &err))
		return -1;
	*state = &f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	target_close(&f->target);
	child_end(&f->child);
	return 0;
}

static taddr_t at(size_t offset)
{
	return (taddr_t)(uintptr_t)place + offset;
}

/* Reads across the pages' border, up to the end, and beyond it. */
static void assert_reads(struct target *target)
{
	uint8_t buf[64];
	ssize_t n;

	memset(buf, 0xa5, sizeof(buf));
	assert_int_equal(target_read(target, at(page - 20), buf, 40), 0);
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(buf[i], pattern(page - 20 + i));
	assert_int_equal(buf[40], 0xa5);
	assert_int_equal(target_read(target, at(2 * page - 8), buf, 8), 0);
	assert_int_equal(buf[7], pattern(2 * page - 1));
	assert_true(target_read(target, at(2 * page - 8), buf, 9) < 0);
	assert_true(target_read(target, at(2 * page), buf, 1) < 0);
	assert_true(target_read(target, 8, buf, 1) < 0);
	assert_true(target_read(target, ~(taddr_t)0 - 3, buf, 8) < 0);
	assert_int_equal(target_read(target, at(0), buf, 0), 0);
	n = target_read_some(target, at(2 * page - 16), buf, sizeof(buf));
	assert_int_equal(n, 16);
	assert_int_equal(buf[0], pattern(2 * page - 16));
	assert_true(target_read_some(target, at(2 * page), buf, sizeof(buf)) < 0);
	/* As a memory: what image, cfi and walker read through. */
	assert_int_equal(memory_read(&target->memory, at(100), buf, 2), 0);
	assert_int_equal(buf[1], pattern(101));
}

/* Where nothing is swapped out, the same; and without a pagemap. */
static void read_stopped(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[64];

	assert_int_equal(target_read_stopped(&f->target, at(page - 20), buf, 40), 40);
	assert_int_equal(buf[39], pattern(page + 19));
	assert_int_equal(target_read_stopped(&f->target, at(2 * page - 16), buf, 64), 16);
	assert_int_equal(target_read_stopped(&f->target, at(2 * page), buf, 1), -EIO);
	assert_true(f->target.pages >= 0);
	close(f->target.pages);
	f->target.pages = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(target_read_stopped(&f->target, at(page - 20), buf, 40), 40);
}

/* By a process apart, which says that there is nothing, too. */
static void fetch(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(target_fetch(&f->target, at(0)), 0);
	assert_true(target_fetch(&f->target, at(2 * page)) < 0);
	assert_int_equal(f->target.unanswered, 0);
}

static void read_by_the_file(void **state)
{
	struct fixture *f = *state;

	assert_reads(&f->target);
	/* A system call would do without: it is really the file that was read. */
	close(f->target.fd);
	f->target.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(target_read(&f->target, at(0), &(uint8_t){0}, 1) < 0);
}

static void write_by_the_file(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[16];

	/* Read-only memory too; on both sides of a border; nothing beside. */
	assert_int_equal(target_write(&f->target, at(page - 3), "abcdef", 6), 0);
	assert_int_equal(target_read(&f->target, at(page - 4), buf, 8), 0);
	assert_int_equal(buf[0], pattern(page - 4));
	assert_memory_equal(buf + 1, "abcdef", 6);
	assert_int_equal(buf[7], pattern(page + 3));
	assert_int_equal(place[page - 3], pattern(page - 3)); /* ours is another memory */
	assert_true(target_write(&f->target, at(2 * page), "x", 1) < 0);
}

/* The tracer's own way, where /proc/PID/mem can't be written. */
static void write_word_by_word(void **state)
{
	struct fixture *f = *state;
	char path[64];
	int status;

	close(f->target.fd);
	snprintf(path, sizeof(path), "/proc/%d/mem", f->child.pid);
	f->target.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(target_write(&f->target, at(0), "x", 1), -ESRCH); /* not traced */
	assert_int_equal(ptrace(PTRACE_SEIZE, f->child.pid, 0, 0), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, f->child.pid, 0, 0), 0);
	assert_int_equal(waitpid(f->child.pid, &status, __WALL), f->child.pid);
	for (size_t skip = 0; skip < 9; skip++) {
		for (size_t len = 1; len < 20; len++) {
			const uint8_t *text = (const uint8_t *)"The quick brown fox.";
			uint8_t buf[64], expected[64];

			assert_int_equal(target_read(&f->target, at(page - 16), expected, 64),
					 0);
			memcpy(expected + skip + 4, text, len);
			assert_int_equal(
				target_write(&f->target, at(page - 16 + skip + 4), text, len),
				0);
			assert_int_equal(target_read(&f->target, at(page - 16), buf, 64), 0);
			assert_memory_equal(buf, expected, 64);
		}
	}
	/* The last byte of memory: the word around it ends there. */
	assert_int_equal(target_write(&f->target, at(2 * page - 1), "z", 1), 0);
	assert_true(target_write(&f->target, at(2 * page), "z", 1) < 0);
	assert_int_equal(ptrace(PTRACE_DETACH, f->child.pid, 0, 0), 0);
}

static void who_is_gone(void **state)
{
	struct fixture *f = *state;
	struct target target;
	struct err err = {0};
	uint8_t byte;

	(void)state;
	kill(f->child.pid, SIGKILL);
	waitpid(f->child.pid, NULL, 0);
	assert_true(target_read(&f->target, at(0), &byte, 1) < 0);
	assert_true(target_write(&f->target, at(0), "x", 1) < 0);
	assert_int_equal(target_open(&target, f->child.pid, &err), -ENOENT);
	assert_string_equal(strchr(err.text, '/') ? "named" : err.text, "named");
	target_close(&target); /* after a failure too */
	target_close(&f->target);
	target_close(&f->target);
}

/* The descriptor holds the memory when the thread that opened it has ended. */
static void a_thread_that_has_ended(void **state)
{
	struct fixture *f = *state;
	uint8_t byte = 0;

	f->target.pid = 4194304; /* no such */
	assert_int_equal(target_read(&f->target, at(5), &byte, 1), 0);
	assert_int_equal(byte, pattern(5));
	assert_int_equal(target_write(&f->target, at(5), "x", 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(read_stopped, start, end),
		cmocka_unit_test_setup_teardown(fetch, start, end),
		cmocka_unit_test_setup_teardown(read_by_the_file, start, end),
		cmocka_unit_test_setup_teardown(write_by_the_file, start, end),
		cmocka_unit_test_setup_teardown(write_word_by_word, start, end),
		cmocka_unit_test_setup_teardown(who_is_gone, start, end),
		cmocka_unit_test_setup_teardown(a_thread_that_has_ended, start, end),
	};

	return cmocka_run_group_tests(tests, make_place, NULL);
}
