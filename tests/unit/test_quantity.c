/* Numbers and times as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/quantity.h"

static uint64_t ms(const char *text)
{
	uint64_t value = 4711;

	assert_int_equal(quantity_time(text, "x", 1, &value, NULL), 0);
	return value;
}

static void times_are_read(void **state)
{
	(void)state;
	assert_int_equal(ms("500ms"), 500);
	assert_int_equal(ms("1ms"), 1);
	assert_int_equal(ms("10s"), 10000);
	assert_int_equal(ms("10"), 10000);
	assert_int_equal(ms("5m"), 300000);
	assert_int_equal(ms("2h"), 7200000);
	assert_int_equal(ms("100000h"), 360000000000);
	assert_int_equal(ms("0010s"), 10000);
}

static void times_that_are_none(void **state)
{
	static const char *const bad[] = {"",	 "s",	"ms",	"5x",  "5 s", " 5s",
					  "-5s", "+5s", "5.5s", "5sm", "1e3", "0x10s"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t value = 4711;

		assert_int_equal(quantity_time(bad[i], "--duration", 1, &value, &err), -EINVAL);
		assert_int_equal(value, 4711);
	}
	assert_int_equal(quantity_time("5x", "--duration", 1, &(uint64_t){0}, &err), -EINVAL);
	assert_string_equal(err.text,
			    "--duration: '5x' is not a time such as 500ms, 10s, 5m or 2h");
}

static void times_out_of_range(void **state)
{
	static const char *const bad[] = {"0", "0ms", "100001h", "99999999999999999999999s",
					  "18446744073709551615h"};
	uint64_t value = 4711;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(quantity_time(bad[i], "x", 1, &value, NULL), -ERANGE);
	assert_int_equal(quantity_time("99ms", "x", 100, &value, NULL), -ERANGE);
	assert_int_equal(value, 4711);
	assert_int_equal(quantity_time("100ms", "x", 100, &value, NULL), 0);
}

static void numbers(void **state)
{
	uint64_t value = 4711;
	struct err err;

	(void)state;
	assert_int_equal(quantity_number("512", "x", 1, 512, &value, NULL), 0);
	assert_int_equal(value, 512);
	assert_int_equal(quantity_number("513", "--stack-depth", 1, 512, &value, &err),
			 -ERANGE);
	assert_string_equal(err.text, "--stack-depth: 513 is not between 1 and 512");
	assert_int_equal(quantity_number("0", "x", 1, 512, &value, NULL), -ERANGE);
	assert_int_equal(
		quantity_number("18446744073709551615", "x", 0, UINT64_MAX, &value, NULL), 0);
	assert_int_equal(value, UINT64_MAX);
	/* 2^64 does not become 0 */
	assert_int_equal(quantity_number("18446744073709551616", "x", 0, 10, &value, NULL),
			 -ERANGE);
	assert_int_equal(quantity_number("7x", "x", 0, 10, &value, NULL), -EINVAL);
	assert_int_equal(quantity_number("-7", "x", 0, 10, &value, NULL), -EINVAL);
	assert_int_equal(quantity_number("", "x", 0, 10, &value, NULL), -EINVAL);
	assert_int_equal(value, UINT64_MAX);
}

static void sizes(void **state)
{
	uint64_t value = 4711;

	(void)state;
	assert_int_equal(quantity_size("4096", "x", &value, NULL), 0);
	assert_int_equal(value, 4096);
	assert_int_equal(quantity_size("64M", "x", &value, NULL), 0);
	assert_int_equal(value, 64 << 20);
	assert_int_equal(quantity_size("0", "x", &value, NULL), -ERANGE);
	assert_int_equal(quantity_size("20000000T", "x", &value, NULL), -ERANGE);
	assert_int_equal(quantity_size("1MB", "x", &value, NULL), -EINVAL);
	assert_int_equal(quantity_size("M", "x", &value, NULL), -EINVAL);
	assert_int_equal(value, 64 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(times_that_are_none),
		cmocka_unit_test(times_out_of_range),
		cmocka_unit_test(numbers),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
