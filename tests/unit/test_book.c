/* What calls mean for blocks: the rules of region/book.h, one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "region/book.h"

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
	f.book = (struct book){.region = f.region, .space = &f.space};
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

static void alloc(struct fixture *f, struct book_thread *thread, uint64_t result, uint64_t size,
		  uint32_t context)
{
	book_alloc(&f->book, thread, &(struct book_event){result, size, context, 0, false, false, 0});
}

static void inner_alloc(struct fixture *f, struct book_thread *thread, uint64_t result)
{
	book_alloc(&f->book, thread, &(struct book_event){result, 99, 0, 0, true, false, 0});
}

static void realloc_return(struct fixture *f, struct book_thread *thread, uint64_t slot,
			   uint64_t addr, uint64_t result, uint64_t size, uint32_t context)
{
	book_realloc_return(&f->book, thread, slot, addr,
			    &(struct book_event){result, size, context, 0, false, false, 0});
}

static void inner_realloc_return(struct fixture *f, struct book_thread *thread, uint64_t slot,
				 uint64_t addr, uint64_t result, uint64_t size)
{
	book_realloc_return(&f->book, thread, slot, addr,
			    &(struct book_event){result, size, 0, 0, true, false, 0});
}

/* By the program. */
static void free_(struct fixture *f, struct book_thread *thread, uint64_t addr)
{
	if (book_free(&f->book, thread, addr) == BOOK_UNKNOWN)
		book_free_unknown(&f->book, thread, addr);
}

static void plain_pair(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 53, f->inner);
	expect(f, 1, 0, 53, 0, 0, 1);
	free_(f, &f->b, 0x1000); /* by another thread */
	expect(f, 1, 1, 53, 53, 0, 0);
}

static void nothing_happens(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0, 1 << 30, f->inner); /* failed */
	free_(f, &f->a, 0);			      /* free(NULL) */
	expect(f, 0, 0, 0, 0, 0, 0);
}

static void zero_size_is_a_block(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 0, f->inner);
	expect(f, 1, 0, 0, 0, 0, 1);
}

static void unknown_block_is_counted_apart(void **state)
{
	struct fixture *f = *state;

	free_(f, &f->a, 0x1000);
	expect(f, 0, 0, 0, 0, 1, 0);
}

static void inner_call_is_replaced(void **state)
{
	struct fixture *f = *state;
	const struct region_context *context;

	alloc(f, &f->a, 0x1000, 16, f->inner); /* malloc within calloc */
	alloc(f, &f->a, 0x1000, 12, f->outer); /* calloc itself */
	expect(f, 1, 0, 12, 0, 0, 1);
	assert_int_equal(region_context_at(f->region, f->inner)->allocs, 0);
	context = region_context_at(f->region, f->outer);
	assert_int_equal(context->allocs, 1);
	assert_int_equal(context->allocated_bytes, 12);
}

static void live_address_again_by_another_thread_is_a_lost_free(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	alloc(f, &f->b, 0x1000, 16, f->inner);
	assert_int_equal(region_totals(f->region)->lost_events, 1);
	assert_int_equal(region_totals(f->region)->live_blocks, 1);
}

static void delete_and_its_free_are_one(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	free_(f, &f->a, 0x1000); /* operator delete */
	free_(f, &f->a, 0x1000); /* the free within */
	expect(f, 1, 1, 16, 16, 0, 0);
}

static void realloc_is_a_free_and_an_allocation(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	expect(f, 1, 0, 16, 0, 0, 0); /* out of the table, not counted yet */
	alloc(f, &f->b, 0x1000, 8, f->inner); /* another thread gets the address */
	realloc_return(f, &f->a, 0x7000, 0x1000, 0x2000, 32, f->outer);
	expect(f, 3, 1, 56, 16, 0, 2);
}

static void failed_realloc_changes_nothing(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	realloc_return(f, &f->a, 0x7000, 0x1000, 0, UINT64_MAX, f->outer);
	expect(f, 1, 0, 16, 0, 0, 1);
}

static void realloc_to_zero_frees(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	free_(f, &f->a, 0x1000); /* glibc does it by calling free */
	realloc_return(f, &f->a, 0x7000, 0x1000, 0, 0, f->outer);
	expect(f, 1, 1, 16, 16, 0, 0);
}

static void realloc_of_null_allocates(void **state)
{
	struct fixture *f = *state;

	book_realloc_entry(&f->book, &f->a, 0x7000, 0);
	realloc_return(f, &f->a, 0x7000, 0, 0x1000, 16, f->outer);
	expect(f, 1, 0, 16, 0, 0, 1);
}

static void realloc_of_an_older_block(void **state)
{
	struct fixture *f = *state;

	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	realloc_return(f, &f->a, 0x7000, 0x1000, 0x2000, 16, f->outer);
	expect(f, 1, 0, 16, 0, 1, 1);
}

/* musl: realloc calls malloc and free. */
static void realloc_by_malloc_and_free(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	alloc(f, &f->a, 0x2000, 40, f->inner);
	free_(f, &f->a, 0x1000);
	realloc_return(f, &f->a, 0x7000, 0x1000, 0x2000, 32, f->outer);
	expect(f, 2, 1, 48, 16, 0, 1);
}

/* glibc: reallocarray calls realloc. */
static void nested_realloc(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_realloc_entry(&f->book, &f->a, 0x6f00, 0x1000);
	realloc_return(f, &f->a, 0x6f00, 0x1000, 0x2000, 32, f->inner);
	realloc_return(f, &f->a, 0x7000, 0x1000, 0x2000, 32, f->outer);
	expect(f, 2, 1, 48, 16, 0, 1);
	assert_int_equal(f->a.depth, 0);
}

/* A longjmp out of realloc: the next call on that stack finds the block put back. */
static void realloc_never_returns(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_realloc_entry(&f->book, &f->a, 0x7100, 0);
	realloc_return(f, &f->a, 0x7100, 0, 0x3000, 8, f->outer);
	expect(f, 2, 0, 24, 0, 0, 2);
}

static void detach_in_realloc(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_abandon(&f->book, &f->a);
	expect(f, 1, 0, 16, 0, 0, 1);
}

static void clear_in_realloc(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_forget(&f->a);
	region_clear(f->region, &f->space);
	realloc_return(f, &f->a, 0x7000, 0x1000, 0x2000, 32, f->outer);
	expect(f, 1, 0, 32, 0, 1, 1);
}

/* A malloc that puts a header before the block of the one below. */
static void layers_with_headers(void **state)
{
	struct fixture *f = *state;

	inner_alloc(f, &f->a, 0x1000);
	alloc(f, &f->a, 0x1010, 53, f->outer);
	expect(f, 1, 0, 53, 0, 0, 1);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1010);
	book_realloc_entry(&f->book, &f->a, 0x6f00, 0x1000);
	inner_realloc_return(f, &f->a, 0x6f00, 0x1000, 0x2000, 76);
	realloc_return(f, &f->a, 0x7000, 0x1010, 0x2010, 60, f->outer);
	expect(f, 2, 1, 113, 53, 0, 1);
	free_(f, &f->b, 0x2010);
	assert_int_equal(book_free(&f->book, &f->b, 0x2000), BOOK_PART);
	expect(f, 2, 2, 113, 113, 0, 0);
	assert_int_equal(book_free(&f->book, &f->b, 0x2000), BOOK_UNKNOWN); /* nobody's, and forgotten */
	assert_int_equal(book_free(&f->book, &f->b, 0x1000), BOOK_UNKNOWN);
	assert_int_equal(f->a.allocs + f->b.allocs, 2);
}

/* The inner free comes later, in another thread, when both have done other things. */
static void a_quarantine(void **state)
{
	struct fixture *f = *state;

	inner_alloc(f, &f->a, 0x1000);
	alloc(f, &f->a, 0x1010, 16, f->outer);
	free_(f, &f->a, 0x1010);
	inner_alloc(f, &f->a, 0x3000);
	alloc(f, &f->a, 0x3010, 16, f->outer);
	assert_int_equal(book_free(&f->book, &f->b, 0x1000), BOOK_PART);
	expect(f, 2, 1, 32, 16, 0, 1);
}

/* What a layer got outside a call of its own, and then hands out. */
static void a_layer_that_keeps_blocks(void **state)
{
	struct fixture *f = *state;
	frame_t other[] = {frame_of(2, 0x20) | FRAME_EXACT, frame_of(2, 0x100)};
	uint32_t above = region_context(f->region, &f->space, other, 2, WALK_ROOT);

	alloc(f, &f->b, 0x1000, 4096, f->inner);
	alloc(f, &f->a, 0x1000, 16, above);
	expect(f, 1, 0, 16, 0, 0, 1);
}

/* An inner block that is returned again by an outer call is a block. */
static void below_becomes_a_block(void **state)
{
	struct fixture *f = *state;

	inner_alloc(f, &f->a, 0x1000);
	alloc(f, &f->a, 0x2000, 16, f->outer);
	alloc(f, &f->b, 0x1000, 32, f->outer);
	free_(f, &f->a, 0x1000);
	expect(f, 2, 1, 48, 32, 0, 1);
	free_(f, &f->b, 0x2000);
	free_(f, &f->b, 0x1000); /* twice: not below any more */
	expect(f, 2, 2, 48, 48, 1, 0);
}

static void a_realloc_by_a_layer(void **state)
{
	struct fixture *f = *state;

	inner_alloc(f, &f->a, 0x1000);
	book_realloc_entry(&f->book, &f->b, 0x7000, 0x1000);
	realloc_return(f, &f->b, 0x7000, 0x1000, 0x2000, 76, f->outer);
	expect(f, 0, 0, 0, 0, 0, 0);
	assert_int_equal(book_free(&f->book, &f->a, 0x2000), BOOK_PART);
}

/* What the thread took before a clear is not put back by a call that then fails. */
static void clear_in_a_failing_realloc(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x1000);
	book_forget(&f->a);
	region_clear(f->region, &f->space);
	alloc(f, &f->b, 0x5000, 16, f->inner); /* its context counts again */
	realloc_return(f, &f->a, 0x7000, 0x1000, 0, UINT64_MAX, f->outer);
	expect(f, 1, 0, 16, 0, 0, 1);
}

/* A thread ends within realloc, and another one frees the block before we hear of that. */
static void a_block_that_is_taken(void **state)
{
	struct fixture *f = *state;

	alloc(f, &f->a, 0x1000, 16, f->inner);
	book_realloc_entry(&f->book, &f->b, 0x7000, 0x1000);
	assert_int_equal(book_free(&f->book, &f->a, 0x1000), BOOK_UNKNOWN);
	assert_false(book_free_taken(&f->book, &f->a, &f->b, 0x2000));
	assert_true(book_free_taken(&f->book, &f->a, &f->b, 0x1000));
	assert_false(book_free_taken(&f->book, &f->a, &f->b, 0x1000));
	book_abandon(&f->book, &f->b);
	expect(f, 1, 1, 16, 16, 0, 0);
}

/* free, a realloc that gets the address again and fails, free: the last is no inner half. */
static void a_free_behind_a_realloc(void **state)
{
	struct fixture *f = *state;

	free_(f, &f->a, 0x1000);
	book_realloc_entry(&f->book, &f->a, 0x7000, 0x2000);
	realloc_return(f, &f->a, 0x7000, 0x2000, 0, 0, f->outer);
	free_(f, &f->a, 0x1000);
	expect(f, 0, 0, 0, 0, 3, 0);
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
		TEST(layers_with_headers),
		TEST(a_quarantine),
		TEST(a_layer_that_keeps_blocks),
		TEST(below_becomes_a_block),
		TEST(a_realloc_by_a_layer),
		TEST(clear_in_a_failing_realloc),
		TEST(a_block_that_is_taken),
		TEST(a_free_behind_a_realloc),
	};

	return cmocka_run_group_tests_name("book", tests, NULL, NULL);
}
