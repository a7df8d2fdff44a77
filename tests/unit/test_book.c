/* What calls mean for blocks: the rules of capture/book.h, one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/book.h"

struct fixture {
	struct region_space space;
	struct region *region;
	struct book book;
	struct book_thread a, b; /* two threads of the target */
	uint32_t inner, outer;	 /* contexts */
};

static int setup(void **state)
{
	static struct fixture f;
	frame_t inner[] = {frame_of(1, 0x10) | FRAME_EXACT, frame_of(1, 0x100)};
	frame_t outer[] = {frame_of(1, 0x20) | FRAME_EXACT, frame_of(1, 0x100)};

	f = (struct fixture){0};
	assert_int_equal(region_space_private(&f.space, 1 << 28), 0);
	assert_int_equal(region_init(&f.space, &f.region), 0);
	f.book = (struct book){f.region, &f.space};
	f.inner = region_context(f.region, &f.space, inner, 2, WALK_ROOT);
	f.outer = region_context(f.region, &f.space, outer, 2, WALK_ROOT);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	region_space_deinit(&f->space);
	return 0;
}

/* allocs, frees, allocated bytes, freed bytes, unknown, lost, live blocks */
static void expect(struct fixture *f, uint64_t allocs, uint64_t frees, uint64_t allocated,
		   uint64_t freed, uint64_t unknown, uint64_t live)
{
	const struct region_totals *t = region_totals(f->region);

	assert_int_equal(t->allocs, allocs);
	assert_int_equal(t->frees, frees);
	assert_int_equal(t->allocated_bytes, allocated);
	assert_int_equal(t->freed_bytes, freed);
	assert_int_equal(t->frees_of_unknown, unknown);
	assert_int_equal(t->live_blocks, live);
	assert_int_equal(t->lost_events, 0);
}

static void plain_pair(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 53, f->inner, 0);
	expect(f, 1, 0, 53, 0, 0, 1);
	book_free(&f->book, &f->b, 0x1000); /* by another thread */
	expect(f, 1, 1, 53, 53, 0, 0);
}

static void nothing_happens(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0, 1 << 30, f->inner, 0); /* failed */
	book_free(&f->book, &f->a, 0);			      /* free(NULL) */
	expect(f, 0, 0, 0, 0, 0, 0);
}

static void zero_size_is_a_block(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 0, f->inner, 0);
	expect(f, 1, 0, 0, 0, 0, 1);
}

static void unknown_block_is_counted_apart(void **state)
{
	struct fixture *f = *state;

	book_free(&f->book, &f->a, 0x1000);
	expect(f, 0, 0, 0, 0, 1, 0);
}

static void inner_call_is_replaced(void **state)
{
	struct fixture *f = *state;
	const struct region_context *contexts;
	uint32_t count;

	book_alloc(&f->book, &f->a, 0x1000, 16, f->inner, 0); /* malloc within calloc */
	book_alloc(&f->book, &f->a, 0x1000, 12, f->outer, 0); /* calloc itself */
	expect(f, 1, 0, 12, 0, 0, 1);
	contexts = region_contexts(f->region, &count);
	assert_int_equal(contexts[f->inner].allocs, 0);
	assert_int_equal(contexts[f->outer].allocs, 1);
	assert_int_equal(contexts[f->outer].allocated_bytes, 12);
}

static void live_address_again_by_another_thread_is_a_lost_free(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 16, f->inner, 0);
	book_alloc(&f->book, &f->b, 0x1000, 16, f->inner, 0);
	assert_int_equal(region_totals(f->region)->lost_events, 1);
	assert_int_equal(region_totals(f->region)->live_blocks, 1);
}

static void delete_and_its_free_are_one(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 16, f->inner, 0);
	book_free(&f->book, &f->a, 0x1000); /* operator delete */
	book_free(&f->book, &f->a, 0x1000); /* the free within */
	expect(f, 1, 1, 16, 16, 0, 0);
}

static void realloc_is_a_free_and_an_allocation(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 16, f->inner, 0);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	expect(f, 1, 0, 16, 0, 0, 0); /* out of the table, not counted yet */
	book_alloc(&f->book, &f->b, 0x1000, 8, f->inner,
		   0); /* another thread gets the address */
	book_realloc_return(&f->book, &f->a, 0x7000, 0x1000, 0x2000, 32, f->outer, 0);
	expect(f, 3, 1, 56, 16, 0, 2);
}

static void failed_realloc_changes_nothing(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 16, f->inner, 0);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_realloc_return(&f->book, &f->a, 0x7000, 0x1000, 0, UINT64_MAX, f->outer, 0);
	expect(f, 1, 0, 16, 0, 0, 1);
}

static void realloc_to_zero_frees(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 16, f->inner, 0);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_free(&f->book, &f->a, 0x1000); /* glibc does it by calling free */
	book_realloc_return(&f->book, &f->a, 0x7000, 0x1000, 0, 0, f->outer, 0);
	expect(f, 1, 1, 16, 16, 0, 0);
}

static void realloc_of_null_allocates(void **state)
{
	struct fixture *f = *state;

	book_realloc_entry(&f->book, &f->a, 0x7000, 0);
	book_realloc_return(&f->book, &f->a, 0x7000, 0, 0x1000, 16, f->outer, 0);
	expect(f, 1, 0, 16, 0, 0, 1);
}

static void realloc_of_an_older_block(void **state)
{
	struct fixture *f = *state;

	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_realloc_return(&f->book, &f->a, 0x7000, 0x1000, 0x2000, 16, f->outer, 0);
	expect(f, 1, 0, 16, 0, 1, 1);
}

/* musl: realloc calls malloc and free. */
static void realloc_by_malloc_and_free(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 16, f->inner, 0);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_alloc(&f->book, &f->a, 0x2000, 40, f->inner, 0);
	book_free(&f->book, &f->a, 0x1000);
	book_realloc_return(&f->book, &f->a, 0x7000, 0x1000, 0x2000, 32, f->outer, 0);
	expect(f, 2, 1, 48, 16, 0, 1);
}

/* glibc: reallocarray calls realloc. */
static void nested_realloc(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 16, f->inner, 0);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_realloc_entry(&f->book, &f->a, 0x6f00, 0x1000);
	book_realloc_return(&f->book, &f->a, 0x6f00, 0x1000, 0x2000, 32, f->inner, 0);
	book_realloc_return(&f->book, &f->a, 0x7000, 0x1000, 0x2000, 32, f->outer, 0);
	expect(f, 2, 1, 48, 16, 0, 1);
	assert_int_equal(f->a.depth, 0);
}

/* A longjmp out of realloc: the next call on that stack finds the block put back. */
static void realloc_never_returns(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 16, f->inner, 0);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_realloc_entry(&f->book, &f->a, 0x7100, 0);
	book_realloc_return(&f->book, &f->a, 0x7100, 0, 0x3000, 8, f->outer, 0);
	expect(f, 2, 0, 24, 0, 0, 2);
}

static void detach_in_realloc(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 16, f->inner, 0);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_abandon(&f->book, &f->a);
	expect(f, 1, 0, 16, 0, 0, 1);
}

static void clear_in_realloc(void **state)
{
	struct fixture *f = *state;

	book_alloc(&f->book, &f->a, 0x1000, 16, f->inner, 0);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_forget(&f->a);
	region_clear(f->region, &f->space);
	book_realloc_return(&f->book, &f->a, 0x7000, 0x1000, 0x2000, 32, f->outer, 0);
	expect(f, 1, 0, 32, 0, 1, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_pair),
		TEST(nothing_happens),
		TEST(zero_size_is_a_block),
		TEST(unknown_block_is_counted_apart),
		TEST(inner_call_is_replaced),
		TEST(live_address_again_by_another_thread_is_a_lost_free),
		TEST(delete_and_its_free_are_one),
		TEST(realloc_is_a_free_and_an_allocation),
		TEST(failed_realloc_changes_nothing),
		TEST(realloc_to_zero_frees),
		TEST(realloc_of_null_allocates),
		TEST(realloc_of_an_older_block),
		TEST(realloc_by_malloc_and_free),
		TEST(nested_realloc),
		TEST(realloc_never_returns),
		TEST(detach_in_realloc),
		TEST(clear_in_realloc),
	};

	return cmocka_run_group_tests_name("book", tests, NULL, NULL);
}
