/*
 * Ages of blocks (capture/ages.h): of blocks that come and go over ten thousand spans, each label means
 * a span that the block came in, as good as there are spans; and the same when spans have
 * become one, and labels are used again; also of one that was noted late, with a label of before.  Of the newest
 * marks it is known who came before and who behind them, whatever else ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/ages.h"
#include "region/live.h"
#include "shared_case.h"

enum { BLOCKS = 500, TICKS = 100 };

static struct shared shared;
static struct ages ages;
static uint32_t came[BLOCKS]; /* ticks; 0: it is not there */
static uint32_t now;

static uint64_t addr_of(unsigned block)
{
	return 0x7f0000001000 + block * 4096ull;
}

static void note(unsigned block)
{
	uint64_t *place = live_place(&shared, addr_of(block), 8);

	assert_non_null(place);
	assert_true(live_note(&shared, place, addr_of(block), 7, 8));
	came[block] = now;
}

static struct live_block find(unsigned block)
{
	struct live_block ret;

	assert_true(live_find(&shared, addr_of(block), &ret));
	assert_int_equal(ret.context, 7);
	assert_int_equal(ret.size, 8);
	return ret;
}

/* The number of the span that a time lies in; a span ends with its last tick. */
static uint32_t span_of(uint32_t time)
{
	uint32_t span = 0;

	while (span < ages.count && ages.end[span] < time)
		span++;
	return span;
}

static void check(void)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (!came[i])
			continue;
		assert_int_equal(span_of(ages_time(&ages, find(i).age)), span_of(came[i]));
		assert_int_equal(ages.span_of[ages_label(&ages, came[i])], span_of(came[i]));
	}
}

static void begin(void)
{
	assert_true(shared_case_begin(&shared, 600, 4, 8));
	now = 0;
	ages_clear(&ages, &shared, now);
	for (unsigned i = 0; i < BLOCKS; i++)
		came[i] = 0;
}

static void test_spans(void **state)
{
	uint32_t longest = TICKS, last = 0;

	(void)state;
	begin();
	for (unsigned round = 1; round < 10000; round++) {
		struct live_block block;

		now += TICKS / 2;
		if (came[round % BLOCKS]) {
			block = find(round % BLOCKS);
			live_remove(&block);
		}
		if (round % 11 == 0 || !came[round % BLOCKS])
			note(round % BLOCKS);
		else
			came[round % BLOCKS] = 0;
		if (now - last >= longest) { /* as generations do */
			ages_end(&ages, &shared, last = now);
			longest *= ages.count == AGES_GENERATIONS / 2 &&
						   now / longest >= AGES_GENERATIONS
					   ? 2
					   : 1;
			assert_true(ages_are_sound(&ages));
			check();
		}
	}
	assert_true(ages.count >= AGES_GENERATIONS / 2 && longest > 4 * TICKS);
	shared_case_end(&shared);
}

/* One that was on its way when spans became one has the label of before, then and until the next
 * time, when that would mean something else. */
static void test_noted_late(void **state)
{
	struct live_block late = {.addr = addr_of(1), .size = 8, .context = 7};
	uint32_t time = 0;

	(void)state;
	begin();
	for (unsigned i = 0; i < AGES_GENERATIONS - 1; i++)
		ages_end(&ages, &shared, now += TICKS);
	late.age = shared_told(&shared)->age;
	time = now + 1;
	ages_end(&ages, &shared, now += TICKS);
	assert_true(live_note_aged(&shared, live_place(&shared, late.addr, 8), &late));
	assert_int_equal(span_of(ages_time(&ages, find(1).age)), span_of(time));
	for (unsigned i = 0; i < 3 * AGES_GENERATIONS; i++) {
		ages_end(&ages, &shared, now += TICKS);
		assert_int_equal(span_of(ages_time(&ages, find(1).age)), span_of(time));
	}
	shared_case_end(&shared);
}

static void test_begins_anew(void **state)
{
	(void)state;
	begin();
	ages_end(&ages, &shared, 100);
	now = 150;
	ages_clear(&ages, &shared, now);
	note(3);
	assert_int_equal(ages_time(&ages, find(3).age), 151);
	ages_end(&ages, &shared, 250);
	assert_int_equal(ages_time(&ages, find(3).age), 200);
	assert_true(ages_time(&ages, ages_label(&ages, 260)) > 250);
	shared_case_end(&shared);
}

enum { MARKED = 400, MARKS_KNOWN = 8 };

static struct ages_range range_of(unsigned block)
{
	return ages_range(&ages, ages_time(&ages, find(block).age), now);
}

/* A block before, in and behind each mark, the next one is in the same tick, or later; in between
 * generations end.  The numbers are 3 to a mark. */
static void test_marks(void **state)
{
	static uint32_t mark[BLOCKS / 3];

	(void)state;
	begin();
	for (unsigned i = 0; i < BLOCKS / 3; i++) {
		const unsigned newest = i < MARKS_KNOWN ? 0 : i + 1 - MARKS_KNOWN;

		note(3 * i);
		ages_mark_begins(&ages, &shared, now);
		note(3 * i + 1);
		mark[i] = now += i % 4 == 1;
		now += i % 4 == 2;
		ages_mark_ends(&ages, &shared, now);
		note(3 * i + 2);
		now += i % 5 * 7;
		if (i % 3 == 0 && i % 5)
			ages_end(&ages, &shared, now);
		assert_true(ages_are_sound(&ages));
		for (unsigned k = newest; k <= i; k++) {
			const uint32_t at = mark[k];

			for (unsigned b = 0; b <= 3 * k + 1; b++) /* not sure to be behind */
				assert_true(range_of(b).first <= at);
			for (unsigned b = 3 * k + 1; b <= 3 * i + 2; b++) /* nor before */
				assert_true(range_of(b).last >= at);
			if (k && mark[k - 1] + 4 < at && (k - 1) % 3)
				assert_true(range_of(3 * k).last < at);
			if (k == i || mark[k + 1] > at + 4)
				assert_true(range_of(3 * k + 2).first > at);
		}
	}
	assert_in_range(ages.count, 2 * MARKS_KNOWN + AGES_GENERATIONS / 2, AGES_ENDS - 1);
	shared_case_end(&shared);
}

/* A time of its own is exact; what came back has that of its span, and is of all of it. */
static void test_ranges(void **state)
{
	(void)state;
	begin();
	now = 10;
	note(1);
	assert_int_equal(range_of(1).first, 1);
	assert_int_equal(range_of(1).last, 10);
	ages_end(&ages, &shared, now = 100);
	assert_int_equal(range_of(1).first, 1);
	assert_int_equal(range_of(1).last, 100);
	assert_int_equal(ages_range(&ages, 70, now).first, 70);
	assert_int_equal(ages_range(&ages, 70, now).last, 70);
	note(2);
	assert_int_equal(range_of(2).first, 101); /* (which is now in the same tick) */
	assert_int_equal(range_of(2).last, 101);
	ages.span_of[5] = 2; /* there is no such span */
	assert_false(ages_are_sound(&ages));
	shared_case_end(&shared);
}

/* The one that was killed has told of six spans since it wrote down which there are. */
static void test_goes_on(void **state)
{
	struct ages kept;

	(void)state;
	begin();
	note(1);
	ages_end(&ages, &shared, now = 100);
	note(2);
	kept = ages;
	for (unsigned block = 3; block < 9; block++) {
		ages_end(&ages, &shared, now += 100);
		note(block);
	}
	ages = kept;
	ages_go_on(&ages, &shared);
	assert_true(ages_are_sound(&ages));
	ages_end(&ages, &shared, now = 2000);
	note(9);
	assert_int_equal(range_of(1).last, 100);
	for (unsigned block = 2; block < 9; block++) {
		assert_int_equal(range_of(block).first, 101);
		assert_int_equal(range_of(block).last, 2000);
	}
	assert_int_equal(range_of(9).first, 2001);
	shared_case_end(&shared);
}

/* Whenever it is killed between the end of a span and what it writes down then; also where labels are used again. */
static void test_goes_on_anywhere(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < MARKED; i++) {
		const struct ages kept = ages;
		struct ages after;

		now++;
		note(i);
		now += TICKS;
		if (i % 7 == 3)
			ages_mark_begins(&ages, &shared, now);
		else
			ages_end(&ages, &shared, now);
		after = ages;
		ages = kept;
		ages_go_on(&ages, &shared);
		assert_true(ages_are_sound(&ages));
		for (unsigned block = 0; block <= i; block++)
			assert_in_range(came[block], range_of(block).first, range_of(block).last);
		ages = after;
	}
	shared_case_end(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_noted_late),
		cmocka_unit_test(test_begins_anew),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_goes_on_anywhere),
	};

	if (sizeof(void *) == 4) /* no agent is there yet */
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
