/* What an allocator has of the kernel, of this very process: its data has the books of a musl that never was. */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/allocators.h"
#include "heap/leak/obtained.h"

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

/* ---- data that looks like books everywhere ---------------------------------------------------- */

enum { DATA_AT = 0x10000000, DATA_LEN = 1 << 20, OTHER_AT = 0x20000000, MOST_READS = 3300 };

struct made_up {
	struct memory memory; /* first */
	unsigned reads;
};

/* 32-bit words, each of which is an address of what is not the data. */
static int read_made_up(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct made_up *m = (struct made_up *)memory;

	m->reads++;
	if (addr % OTHER_AT + len > DATA_AT + DATA_LEN)
		return -EIO;
	for (size_t i = 0; i < len; i++) {
		uint32_t at = (uint32_t)(addr + i), word = OTHER_AT + at / 4 * 2654435761u % DATA_LEN / 64 * 64;

		((uint8_t *)buf)[i] = (uint8_t)(word >> at % 4 * 8);
	}
	return 0;
}

static void looking_ends(void **state)
{
	struct made_up m = {.memory.read = read_made_up};
	struct mapping at[] = {{.begin = DATA_AT, .end = DATA_AT + DATA_LEN, .inode = 1, .read = true,
				.write = true, .path = "/program"},
			       {.begin = OTHER_AT, .end = OTHER_AT + DATA_LEN, .read = true,
				.write = true, .path = ""}};
	const struct maps maps = {.list = {at, 2, 2}};
	const struct leak_cpu cpu = {.machine = EM_ARM, .word = 4};

	(void)state;
	obtained_destroy(obtained_find(&m.memory, &maps, &cpu));
	assert_in_range(m.reads, 1, MOST_READS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(books_are_read),
		cmocka_unit_test(books_that_are_broken),
		cmocka_unit_test(a_ring),
		cmocka_unit_test(looking_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
