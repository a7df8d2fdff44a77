/* Room for children that are followed: so many at once, so many in all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/heirs.h"

static void check(struct heirs_room *room, int left, int total, int refused)
{
	assert_int_equal(atomic_load(&room->left), left);
	assert_int_equal(atomic_load(&room->total), total);
	assert_int_equal(atomic_load(&room->refused), refused);
}

/* Those that could not be followed use nothing up. */
static void test_given_back(void **state)
{
	struct heirs_room room = {2, 3, 0};

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_true(heirs_take_room(&room));
		heirs_give_room_back(&room);
	}
	check(&room, 2, 3, 0);
}

/* Nor do those that are refused. */
static void test_none_left(void **state)
{
	struct heirs_room room = {1, 3, 0};

	(void)state;
	assert_true(heirs_take_room(&room));
	for (int i = 0; i < 10; i++)
		assert_false(heirs_take_room(&room));
	check(&room, 0, 2, 10);
	atomic_fetch_add(&room.left, 1); /* one has ended */
	assert_true(heirs_take_room(&room));
	check(&room, 0, 1, 10);
}

static void test_none_left_in_all(void **state)
{
	struct heirs_room room = {5, 1, 0};

	(void)state;
	assert_true(heirs_take_room(&room));
	assert_false(heirs_take_room(&room));
	check(&room, 4, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given_back),
		cmocka_unit_test(test_none_left),
		cmocka_unit_test(test_none_left_in_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
