/* The course of totals: bounded, and exact whatever was merged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "heap/course.h"

static struct course course;

static int setup(void **state)
{
	(void)state;
	course = (struct course){.max_bytes = 64 * sizeof(struct course_point)};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	course_clear(&course);
	return 0;
}

/* Second i: 3 i + 7 blocks were allocated, i freed. */
static void second(unsigned i, uint64_t in_use)
{
	const struct course_point p = {.ms = 5000 + 1000 * (int64_t)i,
				       .allocs = 3 * i + 7,
				       .frees = i,
				       .in_use = in_use,
				       .resident = 4096 * i};

	course_add(&course, &p);
}

static void all_seconds_while_there_is_room(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 64; i++)
		second(i, i);
	assert_int_equal(course.count, 64);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(course.points[i].ms, 5000 + 1000 * i);
		assert_int_equal(course.points[i].in_use, i);
	}
}

static void bounded_for_a_year(void **state)
{
	struct course_row rows[10];
	uint64_t peak = 0, samples = 0;
	const unsigned seconds = 365 * 24 * 3600 / 10;

	(void)state;
	for (unsigned i = 0; i <= seconds; i++)
		second(i, i == 1000001 ? 99 : 5);
	assert_in_range(course.count, 32, 64);
	assert_int_equal(course.capacity, 64);
	assert_int_equal(course.points[0].ms, 5000); /* the start stays */
	assert_int_equal(course.points[course.count - 1].ms, 5000 + 1000 * (int64_t)seconds);
	for (size_t i = 0; i < course.count; i++) {
		const struct course_point *p = &course.points[i];

		assert_int_equal(p->allocs, 3 * p->frees + 7); /* of one moment */
		peak = p->most_in_use > peak ? p->most_in_use : peak;
		samples += p->samples;
		if (i > 1) /* even, but for the last */
			assert_true(p->samples == course.every || i + 1 == course.count);
	}
	assert_int_equal(peak, 99); /* no peak is lost */
	assert_int_equal(samples, seconds + 1);
	assert_int_equal(course_rows(&course, 10, rows), 10);
	assert_true(rows[9].seconds == seconds);
	for (int i = 1; i < 10; i++)
		assert_int_equal(rows[i].allocs, 3 * rows[i].frees);
}

static void rows_are_spans_of_time(void **state)
{
	struct course_row rows[8];

	(void)state;
	assert_int_equal(course_rows(&course, 4, rows), 0);
	second(0, 10);
	assert_int_equal(course_rows(&course, 4, rows), 1);
	second(1, 50);
	second(2, 20);
	second(3, 30);
	second(9, 40);
	/* (0, 3], (3, 6], (6, 9] */
	assert_int_equal(course_rows(&course, 4, rows), 3);
	assert_true(rows[0].seconds == 0 && rows[0].span == 0);
	assert_int_equal(rows[0].allocs, 0);
	assert_true(rows[1].seconds == 3 && rows[1].span == 3);
	assert_int_equal(rows[1].allocs, 9);
	assert_int_equal(rows[1].frees, 3);
	assert_int_equal(rows[1].point.in_use, 30);
	assert_int_equal(rows[1].point.most_in_use, 50);
	assert_true(rows[2].seconds == 9 && rows[2].span == 6);
	assert_int_equal(rows[2].allocs, 18);
	assert_int_equal(rows[2].point.most_in_use, 40);
}

static void counting_began_anew(void **state)
{
	(void)state;
	second(5, 1);
	second(6, 1);
	second(0, 3);
	assert_int_equal(course.count, 1);
	assert_int_equal(course.points[0].in_use, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_seconds_while_there_is_room, setup,
						teardown),
		cmocka_unit_test_setup_teardown(bounded_for_a_year, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_are_spans_of_time, setup, teardown),
		cmocka_unit_test_setup_teardown(counting_began_anew, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
