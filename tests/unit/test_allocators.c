/* What an allocator has of the kernel, of this very process: its data has the books of a musl that never was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/allocators.h"

enum { PAGE = 4096, METAS = 3, TOO_MANY = 1000, GROUP_PAGES = 65536 };

/* More than this process has itself of its own libc, by far. */
#define GROUP ((uint64_t)GROUP_PAGES * PAGE)

/* (Not static: nobody but memtrace reads them.)  As they lie in mallocng (src/malloc/mallocng/meta.h), by this CPU's words. */
struct meta {
	void *prev, *next, *group;
	int avail, freed;
	uintptr_t bits; /* pages << 12 */
};

struct area {
	uint64_t secret;
	struct area *next;
	int slots;
	struct meta metas[METAS];
} __attribute__((aligned(PAGE))) area = {.secret = 1};

struct context {
	uint64_t secret;
	int is_set;
	unsigned counts;
	void *free_metas, *first_free;
	size_t free_count, shift, more;
	struct area *head, *tail;
} __attribute__((aligned(PAGE))) context = {.secret = 1};

static void books_begin(int slots)
{
	area = (struct area){.secret = 0x1234567812345678, .slots = slots};
	for (unsigned i = 0; i < METAS; i++)
		area.metas[i] = (struct meta){.group = &area, .bits = (uintptr_t)GROUP_PAGES << 12};
	context = (struct context){.secret = area.secret, .is_set = 1, .head = &area, .tail = &area};
}

static void books_are_read(void **state)
{
	struct allocators a = {0};
	uint64_t before, with;

	(void)state;
	books_begin(METAS - 1);
	before = allocators_sample(&a, getpid(), 0);
	assert_int_equal(before / GROUP, METAS - 1);
	area.slots = METAS;
	allocators_hurry(&a);
	with = allocators_sample(&a, getpid(), 0);
	assert_int_equal(with / GROUP, METAS);
	assert_int_equal(allocators_sample(&a, getpid(), (METAS + 1) * GROUP), 0); /* somebody else has the rest */
	allocators_deinit(&a);
}

/* What was found at once again, and can't be read again, is not looked for at each sample. */
static void books_that_are_broken(void **state)
{
	struct allocators a = {0};

	(void)state;
	books_begin(TOO_MANY);
	assert_int_equal(allocators_sample(&a, getpid(), 0), 0);
	assert_true(a.missed && !a.found && a.find_due && a.find_pause);
	area.slots = METAS;
	allocators_hurry(&a);
	assert_int_equal(allocators_sample(&a, getpid(), 0) / GROUP, METAS);
	assert_false(a.missed);
	allocators_deinit(&a);
}

/* An area that leads to itself: the pass ends, and is no answer. */
static void a_ring(void **state)
{
	struct allocators a = {0};

	(void)state;
	books_begin(METAS);
	area.next = &area;
	assert_int_equal(allocators_sample(&a, getpid(), 0), 0);
	allocators_deinit(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(books_are_read),
		cmocka_unit_test(books_that_are_broken),
		cmocka_unit_test(a_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
