/* Which allocations count: what the trap makes of the agent's choice, and how coarse a sample has to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "capture/selection.h"
#include "shared_case.h"

enum { SLOT = 0x7000, LEVEL = 12 };

static struct book_event taken(struct selection *s, struct shared_thread *own, uint64_t size)
{
	struct book_event event = {.result = 0x1000, .size = size};

	selection_take(s, own, SLOT, &event, false);
	return event;
}

static void test_what_the_agent_has_chosen(void **state)
{
	struct selection s = {.level = LEVEL, .coarsest = LEVEL, .options.min_size = 32};
	struct shared_thread own = {.selected = SLOT, .sampler.level = LEVEL};
	struct book_event event = taken(&s, &own, 100);

	(void)state;
	assert_int_equal(event.level, LEVEL);
	assert_false(event.passed);
	assert_int_equal(own.selected, 0); /* once */
	assert_int_equal(taken(&s, &own, 100).level, 0);
	own.selected = SLOT | SHARED_PASSED;
	event = taken(&s, &own, 100);
	assert_true(event.passed);
	assert_int_equal(s.small, 0); /* (it is in the agent's count) */
	own.selected = SLOT + 8; /* another call's */
	event = taken(&s, &own, 100);
	assert_int_equal(event.level, 0);
	assert_false(event.passed);
	own.selected = SLOT;
	assert_int_equal(taken(&s, &own, 1 << LEVEL).level, 0); /* it stands for itself */
	own = (struct shared_thread){.selected = SLOT, .sampler.level = UINT32_MAX}; /* by a hostile program */
	assert_int_equal(taken(&s, &own, 100).level, 0);
}

static void test_who_was_not_asked(void **state)
{
	struct selection s = {.level = LEVEL, .coarsest = LEVEL, .options.min_size = 32};

	(void)state;
	assert_true(taken(&s, NULL, 31).passed);
	assert_int_equal(s.small, 1);
	assert_false(taken(&s, NULL, 32).passed);
	assert_int_equal(taken(&s, NULL, 32).level, 0);
}

/* calloc, which has called malloc, is one allocation. */
static void test_an_outer_call_is_said_once(void **state)
{
	struct selection s = {.options.min_size = 32};
	struct book_event event = {.result = 0x1000, .size = 31};

	(void)state;
	selection_take(&s, NULL, SLOT, &event, false);
	selection_take(&s, NULL, SLOT + 64, &event, true);
	assert_true(event.passed);
	assert_int_equal(s.small, 1);
	assert_true(sample_is_outer(0x1000, SLOT, 0x1000, SLOT + 64));
	assert_false(sample_is_outer(0x1000, SLOT, 0x1000, SLOT)); /* from the same place, again */
	assert_false(sample_is_outer(0x1000, SLOT, 0x2000, SLOT + 64));
	assert_false(sample_is_outer(0x1000, 0, 0x1000, SLOT)); /* it was counted */
}

/* What is less than it was, as a clear makes it, is no cost beyond all limits. */
static void test_a_cost_that_is_less_than_before(void **state)
{
	struct selection s = {.options.overhead = 5};
	struct book book = {.region = NULL};
	struct shared shared;

	(void)state;
	if (!shared_case_begin(&shared, 16, 4, 8))
		skip();
	selection_look(&s, &shared, &book, 1000, 100000);
	selection_look(&s, &shared, &book, 2000, 10);
	assert_int_equal(s.level, 0);
	selection_look(&s, &shared, &book, 3000, 20);
	assert_int_equal(s.level, 0);
	selection_look(&s, &shared, &book, 3010, 100020); /* (that is one) */
	assert_true(s.level > 0);
	shared_case_end(&shared);
}

/* Exec: another program, of which all is yet to be counted. */
static void test_nothing_is_left_by_exec(void **state)
{
	struct selection s = {.options = {.min_size = 32, .overhead = 5}, .level = LEVEL,
			      .coarsest = LEVEL, .small_before = 9, .looked_ms = 1,
			      .cost_ns = 1 << 30};
	struct book book = {.passes = true};
	struct snapshot_sampling is;

	(void)state;
	s.small = 9;
	selection_keep(&s, NULL); /* (of a program that is let go then, which ran until now) */
	selection_describe(&s, NULL, &is);
	assert_int_equal(is.small, 0);
	assert_int_equal(is.coarsest, 1 << LEVEL);
	selection_forget(&s, &book);
	selection_tell(&s, NULL, &book);
	selection_describe(&s, NULL, &is);
	assert_int_equal(is.small, 0);
	assert_int_equal(is.min_size, 32);
	assert_int_equal(s.coarsest, 0);
	assert_int_equal(s.looked_ms, 0);
	assert_true(book.passes);
	s.options.min_size = 0;
	selection_forget(&s, &book);
	assert_false(book.passes);
}

static void test_levels(void **state)
{
	(void)state;
	assert_int_equal(selection_level(0), 0);
	assert_int_equal(selection_level(1), 0);
	assert_int_equal(selection_level(2), 1);
	assert_int_equal(selection_level(4095), 11);
	assert_int_equal(selection_level(4096), 12);
	assert_int_equal(selection_level(UINT64_MAX), SAMPLE_MOST);
}

static void test_coarser_only_while_it_must(void **state)
{
	struct selection s = {.options.overhead = 5};
	unsigned calm = 0;

	(void)state;
	assert_int_equal(selection_next(&s, 50, &calm), 0); /* 5 % of it are allowed */
	assert_int_equal(s.level = selection_next(&s, 51, &calm), 8);
	assert_int_equal(s.level = selection_next(&s, 51, &calm), 9);
	assert_int_equal(s.level = selection_next(&s, 50, &calm), 9);
	assert_int_equal(s.level = selection_next(&s, 24, &calm), 9);
	assert_int_equal(s.level = selection_next(&s, 24, &calm), 9);
	assert_int_equal(s.level = selection_next(&s, 26, &calm), 9); /* not three in a row */
	assert_int_equal(s.level = selection_next(&s, 24, &calm), 9);
	assert_int_equal(s.level = selection_next(&s, 24, &calm), 9);
	assert_int_equal(s.level = selection_next(&s, 24, &calm), 8);
	for (int i = 0; i < 3; i++)
		s.level = selection_next(&s, 0, &calm);
	assert_int_equal(s.level, 0);
	for (int i = 0; i < 99; i++)
		s.level = selection_next(&s, UINT64_MAX, &calm);
	assert_int_equal(s.level, SAMPLE_MOST);
	s = (struct selection){.options = {0, 1 << 14, 5}, .level = 14};
	for (int i = 0; i < 9; i++)
		s.level = selection_next(&s, 0, &calm);
	assert_int_equal(s.level, 14); /* finer than asked for is nobody's wish */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_agent_has_chosen),
		cmocka_unit_test(test_who_was_not_asked),
		cmocka_unit_test(test_an_outer_call_is_said_once),
		cmocka_unit_test(test_a_cost_that_is_less_than_before),
		cmocka_unit_test(test_nothing_is_left_by_exec),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_coarser_only_while_it_must),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
