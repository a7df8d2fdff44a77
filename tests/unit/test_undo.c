/*
 * The undo log, on the memory of a child: what is logged before it is written, what is put
 * back in which order, and what is left alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/resource.h>

#include "child_case.h"
#include "tracer/undo.h"

enum { PAGE = 4096 };
static uint8_t *place; /* PAGE bytes 'o', read-only in the child too */

struct fixture {
	struct child_case child;
	struct target target;
	struct undo *undo;
};

static int make_place(void **state)
{
	(void)state;
	place = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (place == MAP_FAILED)
		return -1;
	memset(place, 'o', PAGE);
	return mprotect(place, PAGE, PROT_READ);
}

static int start(void **state)
{
	static struct fixture f;

	f.child = child_start(child_idle, NULL);
	child_hear(&f.child);
	f.undo = undo_create();
	*state = &f;
	return !f.undo || target_open(&f.target, f.child.pid, NULL);
}

static int end(void **state)
{
	struct fixture *f = *state;

	target_close(&f->target);
	child_end(&f->child);
	undo_destroy(f->undo);
	undo_destroy(NULL);
	return 0;
}

static taddr_t at(size_t offset)
{
	return (taddr_t)(uintptr_t)place + offset;
}

static void assert_there(struct fixture *f, size_t offset, const char *text)
{
	char buf[256] = "";

	assert_int_equal(target_read(&f->target, at(offset), buf, strlen(text)), 0);
	assert_string_equal(buf, text);
}

static int patch(struct fixture *f, size_t offset, const char *old, const char *now)
{
	return undo_patch(f->undo, &f->target, at(offset), old, now, (uint32_t)strlen(now));
}

/* An area of 32 'a's whose trap is its 9th byte, disarmed by "RR". */
static int area(struct fixture *f, size_t offset)
{
	char old[32], now[32];

	memset(old, 'o', sizeof(old));
	memset(now, 'a', sizeof(now));
	return undo_area(f->undo, &f->target, at(offset), old, now, sizeof(now), at(offset + 8),
			 "RR", 2);
}

static void patches_are_put_back(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(patch(f, 10, "ooooo", "12345"), 0);
	assert_int_equal(patch(f, 20, "o", "x"), 0);
	assert_there(f, 9, "o12345oooooxo");
	assert_int_equal(f->undo->patch_count, 2);
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_there(f, 9, "ooooooooooooo");
	/* The log stays: it may have to be done again, in a fork child say. */
	assert_int_equal(f->undo->patch_count, 2);
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_there(f, 9, "ooooooooooooo");
	undo_clear(f->undo);
	assert_int_equal(f->undo->patch_count, 0);
}

/* Two changes of one place: undone in the order they were made, "2" would stay. */
static void newest_first(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(patch(f, 10, "ooo", "111"), 0);
	assert_int_equal(patch(f, 10, "111", "222"), 0);
	assert_there(f, 10, "222");
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_there(f, 9, "ooooo");
}

static void only_what_is_still_ours(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(patch(f, 10, "ooo", "111"), 0);
	assert_int_equal(patch(f, 20, "ooo", "222"), 0);
	assert_int_equal(target_write(&f->target, at(11), "!", 1), 0); /* somebody else's */
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_there(f, 10, "1!1");
	assert_there(f, 20, "ooo");
	/* Another library has come to lie where an area was. */
	assert_int_equal(area(f, 100), 0);
	assert_int_equal(target_write(&f->target, at(100), "its text", 8), 0);
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_int_equal(undo_wipe(f->undo, &f->target), 0);
	assert_there(f, 100, "its textaaaaaaaa");
}

/* A breakpoint of a uprobe, say, whose owner knows the byte below it from elsewhere. */
static void a_breakpoint_over_a_patch(void **state)
{
	struct fixture *f = *state;
	taddr_t first = 0;

	assert_int_equal(patch(f, 10, "ooooo", "\xe9" "2345"), 0);
	assert_int_equal(patch(f, 20, "ooooo", "\xe9" "2345"), 0);
	assert_int_equal(target_write(&f->target, at(10), "\xcc", 1), 0);
	assert_int_equal(target_write(&f->target, at(20), "!", 1), 0); /* something else */
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_there(f, 9, "o\xcc" "oooooooo");
	assert_there(f, 19, "o!2345o");
	assert_int_equal(undo_others(f->undo, &f->target, &first), 1);
	assert_true(first == at(20));
}

/* Who wrote over a patch may lead into an area: none is wiped, all are marked. */
static void areas_that_others_lead_into(void **state)
{
	struct fixture *f = *state;
	taddr_t first = 0;

	assert_int_equal(area(f, 100), 0);
	assert_int_equal(patch(f, 10, "ooooo", "12345"), 0);
	assert_int_equal(target_write(&f->target, at(10), "abcde", 5), 0);
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_int_equal(undo_others(f->undo, &f->target, &first), 1);
	assert_true(first == at(10));
	assert_int_equal(undo_wipe(f->undo, &f->target), 0);
	assert_there(f, 10, "abcdeo");
	assert_there(f, 100, "aaaaaaaaRRaa\1");
	assert_there(f, 116, "aaaaaaaaaaaaaaaao");
	/* Were it not so, all would be as before. */
	assert_int_equal(target_write(&f->target, at(10), "ooooo", 5), 0);
	assert_int_equal(undo_wipe(f->undo, &f->target), 0);
	assert_there(f, 99, "oooooooooooooooooooooooooooooooooo");
}

static void areas_are_disarmed_then_wiped(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(area(f, 100), 0);
	assert_int_equal(patch(f, 10, "ooooo", "12345"), 0);
	assert_there(f, 99, "oaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaao");
	assert_true(undo_covers(f->undo, at(100)));
	assert_true(undo_covers(f->undo, at(131)));
	assert_false(undo_covers(f->undo, at(99)));
	assert_false(undo_covers(f->undo, at(132)));
	assert_false(undo_covers(f->undo, at(10))); /* a patch is no area */
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_there(f, 10, "ooooo");
	assert_there(f, 99, "oaaaaaaaaRRaaaaaaaaaaaaaaaaaaaaaao");
	assert_int_equal(undo_wipe(f->undo, &f->target), 0);
	assert_there(f, 99, "oooooooooooooooooooooooooooooooooo");
	undo_clear(f->undo);
	assert_false(undo_covers(f->undo, at(100)));
}

static bool yes(void *arg)
{
	(void)arg;
	return true;
}

static bool no(void *arg)
{
	(void)arg;
	return false;
}

/* In one go: who is inside, or has written over a patch, keeps the areas from being wiped. */
static void all_at_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(area(f, 100), 0);
	assert_int_equal(patch(f, 10, "ooooo", "12345"), 0);
	assert_false(undo_all(f->undo, &f->target, yes, NULL));
	assert_there(f, 9, "ooooooo");
	assert_there(f, 99, "oaaaaaaaaRRaaaaa");
	assert_true(undo_all(f->undo, &f->target, no, NULL)); /* put back before */
	assert_there(f, 99, "oooooooooooooooooooooooooooooooooo");
	undo_clear(f->undo);
	assert_int_equal(area(f, 100), 0);
	assert_int_equal(patch(f, 10, "ooooo", "12345"), 0);
	assert_true(undo_all(f->undo, &f->target, no, NULL));
	assert_there(f, 99, "oooooooooooooooooooooooooooooooooo");
	undo_clear(f->undo);
	assert_int_equal(area(f, 100), 0);
	assert_int_equal(patch(f, 10, "ooooo", "12345"), 0);
	assert_int_equal(target_write(&f->target, at(10), "abcde", 5), 0);
	assert_true(undo_all(f->undo, &f->target, no, NULL));
	assert_there(f, 10, "abcdeo");
	assert_there(f, 100, "aaaaaaaaRRaa\1");
}

/* A process whose writes are its death (SIGXFSZ), and which makes one change. */
static void die_writing(struct child_case *self, void *arg)
{
	struct fixture *f = arg;
	struct target deadly = f->target;
	FILE *file = tmpfile();

	signal(SIGXFSZ, SIG_DFL); /* an interpreter that started us may have it ignored */
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, 0});
	deadly.fd = fileno(file);
	child_say(self, 1);
	if (f->undo->patch_count == 0)
		undo_patch(f->undo, &deadly, at(10), "ooooo", "12345", 5);
	else
		undo_area(f->undo, &deadly, at(100), "oooooooo", "aaaaaaaa", 8, at(104), "R",
			  1);
}

/* Killed between the log and the write: the log says more than what was done, and undoing
 * that does no harm. */
static void logged_before_it_is_written(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) { /* a patch, then an area */
		struct child_case writer = child_start(die_writing, f);
		int status;

		child_hear(&writer);
		assert_int_equal(waitpid(writer.pid, &status, 0), writer.pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
		close(writer.hear);
	}
	assert_int_equal(f->undo->patch_count, 1);
	assert_int_equal(f->undo->patch[0].active, 1);
	assert_true(f->undo->patch[0].addr == at(10));
	assert_int_equal(f->undo->patch[0].len, 5);
	assert_memory_equal(f->undo->patch[0].old, "ooooo", 5);
	assert_memory_equal(f->undo->patch[0].now, "12345", 5);
	assert_int_equal(f->undo->area_count, 1);
	assert_int_equal(f->undo->area[0].active, 1);
	assert_int_equal(f->undo->area[0].len, 8);
	assert_true(f->undo->area[0].base == at(100) && f->undo->area[0].payload == at(104));
	assert_int_equal(f->undo->area[0].disarm_len, 1);
	assert_memory_equal(f->undo->area[0].disarm, "R", 1);
	assert_memory_equal(f->undo->area[0].old, "oooooooo", 8);
	assert_there(f, 9, "ooooooo");
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_int_equal(undo_wipe(f->undo, &f->target), 0);
	assert_there(f, 9, "ooooooo");
	assert_there(f, 99, "oooooooooo");
}

static void a_write_that_fails(void **state)
{
	struct fixture *f = *state;
	struct target closed = f->target;

	closed.fd = -1; /* and not traced: no way to write */
	assert_true(undo_patch(f->undo, &closed, at(10), "ooo", "111", 3) < 0);
	assert_true(undo_area(f->undo, &closed, at(50), "ooo", "aaa", 3, at(51), "R", 1) < 0);
	assert_int_equal(f->undo->patch[0].active, 0);
	assert_int_equal(f->undo->area[0].active, 0);
	assert_false(undo_covers(f->undo, at(50)));
	assert_int_equal(target_write(&f->target, at(10), "111", 3), 0);
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_there(f, 10, "111"); /* none of ours */
	assert_there(f, 50, "ooo");
}

static void a_full_log(void **state)
{
	struct fixture *f = *state;
	uint8_t long_one[UNDO_AREA_BYTES + 1] = {0};

	assert_int_equal(undo_patch(f->undo, &f->target, at(10), long_one, long_one, 17),
			 -ENOSPC);
	assert_int_equal(undo_area(f->undo, &f->target, at(10), long_one, long_one,
				   sizeof(long_one), at(10), "R", 1),
			 -ENOSPC);
	assert_int_equal(
		undo_area(f->undo, &f->target, at(10), long_one, long_one, 16, at(10), "R", 9),
		-ENOSPC);
	for (int i = 0; i < UNDO_PATCHES; i++)
		assert_int_equal(patch(f, 10, i ? "x" : "o", "x"), 0);
	assert_int_equal(patch(f, 20, "o", "x"), -ENOSPC);
	for (int i = 0; i < UNDO_AREAS; i++)
		assert_int_equal(area(f, 100 + 40 * (size_t)i), 0);
	assert_int_equal(area(f, 2000), -ENOSPC);
	assert_there(f, 20, "o"); /* nothing was written */
	assert_there(f, 2000, "ooo");
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_int_equal(undo_wipe(f->undo, &f->target), 0);
	assert_there(f, 10, "o");
	assert_there(f, 100, "oooooooooooooooooooooooooooooooo");
}

static void what_was_unmapped_is_forgotten(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(patch(f, 10, "ooo", "111"), 0);
	assert_int_equal(patch(f, 20, "ooo", "222"), 0);
	assert_int_equal(patch(f, 30, "ooo", "333"), 0);
	assert_int_equal(area(f, 100), 0);
	assert_int_equal(area(f, 200), 0);
	undo_forget(f->undo, at(20), at(21));
	assert_int_equal(f->undo->patch_count, 3);
	undo_forget(f->undo, at(0), at(10)); /* its end is not in it */
	undo_forget(f->undo, at(31), at(100));
	assert_int_equal(f->undo->patch_count, 3);
	assert_true(undo_covers(f->undo, at(100)));
	undo_forget(f->undo, at(30), at(101));
	assert_int_equal(f->undo->patch_count, 1);
	assert_int_equal(f->undo->area_count, 2);
	assert_false(undo_covers(f->undo, at(100)));
	assert_true(undo_covers(f->undo, at(200)));
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_int_equal(undo_wipe(f->undo, &f->target), 0);
	assert_there(f, 10, "ooo");
	assert_there(f, 20, "222");
	assert_there(f, 30, "333");
	assert_there(f, 100, "aaaaaaaaaaaa");
	assert_there(f, 200, "oooooooooooo");
	undo_forget(f->undo, 0, ~(taddr_t)0);
	assert_int_equal(f->undo->patch_count, 0);
	assert_int_equal(f->undo->area_count, 0);
}

/* Libraries come and go by turns, so that the last entry is always in use. */
static void room_of_what_is_forgotten(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < 2 * UNDO_PATCHES; i++) {
		size_t here = i % 2 * 100, other = 100 - here;

		assert_int_equal(patch(f, here, "ooo", "111"), 0);
		assert_int_equal(area(f, here + 10), 0);
		undo_forget(f->undo, at(other), at(other + 100));
	}
	assert_true(f->undo->patch_count <= 2 && f->undo->area_count <= 2);
	assert_true(undo_covers(f->undo, at(110)));
	assert_false(undo_covers(f->undo, at(10)));
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_int_equal(undo_wipe(f->undo, &f->target), 0);
	assert_there(f, 0, "111"); /* forgotten: another's now */
	assert_there(f, 100, "ooo");
	assert_there(f, 110, "oooooooooooo");
}

static void on_behind_an_error(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(patch(f, 10, "ooo", "111"), 0);
	assert_int_equal(patch(f, 20, "ooo", "222"), 0);
	assert_int_equal(patch(f, 30, "ooo", "333"), 0);
	assert_int_equal(area(f, 100), 0);
	assert_int_equal(area(f, 200), 0);
	f->undo->patch[1].addr = 8; /* nothing is mapped there any more */
	f->undo->area[1].base = 8;
	f->undo->area[1].payload = 8;
	assert_true(undo_run(f->undo, &f->target) < 0);
	assert_there(f, 10, "ooo");
	assert_there(f, 20, "222");
	assert_there(f, 30, "ooo");
	assert_there(f, 100, "aaaaaaaaRRaa");
	assert_true(undo_wipe(f->undo, &f->target) < 0);
	assert_there(f, 100, "oooooooooooo");
}

/* What is not in the log is not written; what is comes back whatever was written since. */
static void only_what_is_logged_changes(void **state)
{
	struct fixture *f = *state;
	struct undo_page page = {.base = at(200), .len = 4};

	assert_int_equal(undo_area_change(f->undo, &f->target, at(100), "bbb", 3), -ENOENT);
	assert_there(f, 99, "ooooo");
	assert_int_equal(area(f, 100), 0);
	assert_int_equal(undo_area_change(f->undo, &f->target, at(101), "bbb", 3), -ENOENT);
	assert_int_equal(undo_area_change(f->undo, &f->target, at(100),
					  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 33),
			 -ENOENT);
	assert_there(f, 99, "oaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaao");
	assert_int_equal(undo_area_change(f->undo, &f->target, at(100), "aaaaaaaabbb", 11), 0);
	assert_there(f, 99, "oaaaaaaaabbba");
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_int_equal(undo_wipe(f->undo, &f->target), 0);
	assert_there(f, 99, "oooooooooooooooooooooooooooooooooo");
	assert_int_equal(undo_area_change(f->undo, &f->target, at(300), "bbb", 3), -ENOENT);
	assert_int_equal(undo_page_begin(&page, &f->target, "ppppp", 5), -ENOENT);
	assert_int_equal(undo_page_begin(&page, &f->target, "pppp", 4), 0);
	assert_there(f, 199, "oppppo");
	assert_int_equal(target_write(&f->target, at(200), "oooo", 4), 0);
}

/* A fork has the patches and is made whole alone; the log serves its parent on. */
static void a_copy_of_the_memory(void **state)
{
	struct fixture *f = *state;
	struct child_case copy = child_start(child_idle, NULL);
	struct target other;

	child_hear(&copy);
	assert_int_equal(target_open(&other, copy.pid, NULL), 0);
	assert_int_equal(patch(f, 10, "ooo", "111"), 0);
	assert_int_equal(target_write(&other, at(10), "111", 3), 0);
	assert_int_equal(undo_run(f->undo, &other), 0);
	assert_there(f, 10, "111");
	assert_int_equal(undo_run(f->undo, &f->target), 0);
	assert_there(f, 10, "ooo");
	target_close(&other);
	child_end(&copy);
}

/* Bytes like a patch's may be in any process: without an area it is none of the target's children. */
static void who_is_a_copy(void **state)
{
	struct fixture *f = *state;
	struct child_case copy = child_start(child_idle, NULL);
	uint8_t stubs[32];
	struct target other;

	child_hear(&copy);
	assert_int_equal(target_open(&other, copy.pid, NULL), 0);
	assert_false(undo_is_in(f->undo, &f->target));
	assert_int_equal(area(f, 100), 0);
	assert_false(undo_is_in(f->undo, &f->target));
	assert_int_equal(patch(f, 10, "ooo", "111"), 0);
	assert_true(undo_is_in(f->undo, &f->target));
	assert_int_equal(target_write(&other, at(10), "111", 3), 0);
	assert_false(undo_is_in(f->undo, &other));
	assert_int_equal(target_read(&f->target, at(100), stubs, sizeof(stubs)), 0);
	assert_int_equal(target_write(&other, at(100), stubs, sizeof(stubs)), 0);
	assert_true(undo_is_in(f->undo, &other));
	target_close(&other);
	child_end(&copy);
}

static void of_another_log(void **state)
{
	struct fixture *f = *state;
	struct undo *next = undo_create();

	assert_non_null(next);
	assert_int_equal(patch(f, 10, "ooo", "111"), 0);
	assert_int_equal(area(f, 100), 0);
	undo_held(f->undo, 1, at(0)); /* (its number may be another's by now) */
	undo_take_up(next, f->undo);
	assert_int_equal(next->held[0].pid, 0);
	assert_int_equal(undo_run(next, &f->target), 0);
	assert_int_equal(undo_wipe(next, &f->target), 0);
	assert_there(f, 9, "ooooo");
	assert_there(f, 99, "oooooooooo");
	undo_destroy(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(patches_are_put_back, start, end),
		cmocka_unit_test_setup_teardown(a_breakpoint_over_a_patch, start, end),
		cmocka_unit_test_setup_teardown(areas_that_others_lead_into, start, end),
		cmocka_unit_test_setup_teardown(newest_first, start, end),
		cmocka_unit_test_setup_teardown(only_what_is_still_ours, start, end),
		cmocka_unit_test_setup_teardown(all_at_once, start, end),
		cmocka_unit_test_setup_teardown(areas_are_disarmed_then_wiped, start, end),
		cmocka_unit_test_setup_teardown(logged_before_it_is_written, start, end),
		cmocka_unit_test_setup_teardown(a_write_that_fails, start, end),
		cmocka_unit_test_setup_teardown(a_full_log, start, end),
		cmocka_unit_test_setup_teardown(what_was_unmapped_is_forgotten, start, end),
		cmocka_unit_test_setup_teardown(room_of_what_is_forgotten, start, end),
		cmocka_unit_test_setup_teardown(on_behind_an_error, start, end),
		cmocka_unit_test_setup_teardown(only_what_is_logged_changes, start, end),
		cmocka_unit_test_setup_teardown(a_copy_of_the_memory, start, end),
		cmocka_unit_test_setup_teardown(who_is_a_copy, start, end),
		cmocka_unit_test_setup_teardown(of_another_log, start, end),
	};

	return cmocka_run_group_tests(tests, make_place, NULL);
}
