/* Marks: which moment is called what, and the exact differences of two. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "heap/births.h"
#include "heap/marks.h"

static struct region_context contexts[8];
static struct snapshot heap;
static struct marks marks;

static int setup(void **state)
{
	(void)state;
	memset(contexts, 0, sizeof(contexts));
	heap = (struct snapshot){.contexts = contexts,
				 .context_count = 4,
				 .started = {1000, 5},
				 .taken = {1010, 5}};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	marks_deinit(&marks);
	return 0;
}

static void count(uint32_t id, uint64_t allocs, uint64_t bytes, uint64_t frees, uint64_t freed)
{
	contexts[id].allocs += allocs;
	contexts[id].allocated_bytes += bytes;
	contexts[id].frees += frees;
	contexts[id].freed_bytes += freed;
}

static void mark(const char *name)
{
	struct err err = {0};
	bool dropped;

	if (marks_add(&marks, name, &heap, &dropped, &err))
		fail_msg("%s", err.text);
	assert_false(dropped);
}

static void no_mark(const char *name, int code, const char *why)
{
	struct err err = {0};
	bool dropped;

	assert_int_equal(marks_add(&marks, name, &heap, &dropped, &err), code);
	assert_string_equal(err.text, why);
}

static struct diff good(const char *from, const char *to)
{
	struct err err = {0};
	struct diff diff;

	if (marks_diff(&marks, from, to, &heap, &diff, &err))
		fail_msg("%s", err.text);
	return diff;
}

static void refused(const char *from, const char *to, int code, const char *why)
{
	struct err err = {0};
	struct diff diff;

	assert_int_equal(marks_diff(&marks, from, to, &heap, &diff, &err), code);
	assert_string_equal(err.text, why);
}

static void expect(const struct diff_context *d, uint32_t id, uint64_t born, uint64_t died,
		   int64_t blocks, int64_t bytes)
{
	assert_int_equal(d->id, id);
	assert_int_equal(d->born, born);
	assert_int_equal(d->died, died);
	assert_true(d->blocks == blocks);
	assert_true(d->bytes == bytes);
}

static void exact_differences(void **state)
{
	struct diff d;

	(void)state;
	count(1, 10, 1000, 0, 0);
	count(2, 4, 400, 1, 100);
	count(3, 1, 8, 0, 0);
	mark("a");
	heap.taken.tv_sec += 90;
	heap.context_count = 6;	   /* two that the mark does not know */
	count(1, 1, 50, 10, 1000); /* shrinks: what dies was born before */
	count(2, 7, 700, 5, 600);
	count(4, 2, 900, 0, 0);
	count(5, 3, 0, 0, 0); /* blocks of no bytes */
	d = good("a", NULL);
	assert_string_equal(d.from, "a");
	assert_string_equal(d.to, "now");
	assert_true(d.seconds == 90);
	assert_int_equal(d.count, 4); /* nothing happened to 3 */
	assert_int_equal(d.grown, 3);
	expect(&d.at[0], 4, 2, 0, 2, 900);
	expect(&d.at[1], 2, 7, 5, 2, 100);
	expect(&d.at[2], 5, 3, 0, 3, 0);
	expect(&d.at[3], 1, 1, 10, -9, -950);
	expect(&d.total, 0, 13, 15, -2, 50);
	diff_deinit(&d);
}

static void start_last_and_between(void **state)
{
	struct diff d;

	(void)state;
	count(1, 3, 30, 1, 10);
	d = good(NULL, NULL); /* no mark: since the start */
	assert_string_equal(d.from, "start");
	assert_true(d.seconds == 10);
	assert_int_equal(d.count, 1);
	expect(&d.at[0], 1, 3, 1, 2, 20);
	diff_deinit(&d);
	mark(NULL);
	count(1, 1, 5, 0, 0);
	mark("b");
	count(2, 1, 7, 0, 0);
	assert_string_equal(marks.at[0].name, "1");
	d = good(NULL, NULL); /* since the last one */
	assert_int_equal(d.count, 1);
	expect(&d.at[0], 2, 1, 0, 1, 7);
	diff_deinit(&d);
	d = good("1", "b");
	assert_int_equal(d.count, 1);
	expect(&d.at[0], 1, 1, 0, 1, 5);
	diff_deinit(&d);
	d = good("start", "1");
	expect(&d.total, 0, 3, 1, 2, 20);
	diff_deinit(&d);
	refused("b", "1", -EINVAL, "'b' is later than '1'");
	refused("c", NULL, -ENOENT, "there is no mark 'c'; 'marks' lists them");
	refused("1", "c", -ENOENT, "there is no mark 'c'; 'marks' lists them");
}

/* What is in flight may count as before a mark, and as born behind it. */
static void no_more_survive_than_are_born(void **state)
{
	static const struct births_span spans[] = {{0}, {.sure = 12, .all = 15}, {0}, {0}};
	struct diff diff;

	(void)state;
	count(1, 5, 50, 0, 0);
	mark("a");
	count(1, 10, 100, 0, 0);
	mark("b");
	diff = good("a", "b");
	diff_survived(&diff, spans, &heap);
	assert_int_equal(diff.at[0].survived_least, 10);
	assert_int_equal(diff.at[0].survived_most, 10);
	diff_deinit(&diff);
}

static void counting_began_anew(void **state)
{
	(void)state;
	mark("a");
	heap.started.tv_nsec++;
	refused("a", NULL, -EINVAL, "between 'a' and 'now' counting began anew");
}

static void names(void **state)
{
	struct err err = {0};
	bool dropped;

	(void)state;
	mark("2");
	mark(NULL);
	mark(NULL); /* 2 is taken */
	assert_string_equal(marks.at[1].name, "1");
	assert_string_equal(marks.at[2].name, "3");
	no_mark("2", -EEXIST, "there is a mark '2' already");
	no_mark("start", -EINVAL, "'start' is there without a mark");
	no_mark("now", -EINVAL, "'now' is there without a mark");
	no_mark("a234567890123456789012345678901x", -EINVAL,
		"a mark's name has at most 31 characters");
	mark("a234567890123456789012345678901");
	while (marks.count < MARKS_MAX)
		mark(NULL);
	assert_int_equal(marks_add(&marks, "z", &heap, &dropped, &err), 0);
	assert_true(dropped);
	assert_int_equal(marks.count, MARKS_MAX);
	assert_string_equal(marks.at[0].name, "2"); /* given */
	assert_string_equal(marks.at[1].name, "3"); /* 1 is dropped */
	assert_string_equal(marks.at[MARKS_MAX - 1].name, "z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(exact_differences, setup, teardown),
		cmocka_unit_test_setup_teardown(start_last_and_between, setup, teardown),
		cmocka_unit_test_setup_teardown(no_more_survive_than_are_born, setup, teardown),
		cmocka_unit_test_setup_teardown(counting_began_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(names, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
