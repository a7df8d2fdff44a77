/* Patterns: what they say, and against the C library's. */
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/glob.h"

static void test_words(void **state)
{
	(void)state;
	assert_true(glob_matches("libpython3*.so*", "libpython3.11.so.1.0"));
	assert_false(glob_matches("libpython3*.so*", "libpython2.7.so.1.0"));
	assert_true(glob_matches("", ""));
	assert_false(glob_matches("", "a"));
	assert_true(glob_matches("*", ""));
	assert_true(glob_matches("a?c", "abc"));
	assert_false(glob_matches("a?c", "ac"));
	assert_true(glob_matches("[!a-y]", "z"));
	assert_false(glob_matches("[^a-y]", "b"));
	assert_true(glob_matches("[]x]", "]"));
	assert_true(glob_matches("\\*", "*"));
	assert_false(glob_matches("\\*", "b"));
	assert_true(glob_matches("operator new[](*)", "operator new[](unsigned long)"));
	assert_true(glob_matches("a[", "a["));
	assert_true(glob_matches("a\\", "a\\"));
}

/* Each pattern and text of these bytes, up to 6 and 5 of them, by chance. */
static void test_as_the_c_library(void **state)
{
	static const char signs[] = "ab*?[]!-", bytes[] = "ab-]";
	int matched = 0;

	(void)state;
	srand(1);
	for (int i = 0; i < 300000; i++) {
		char pattern[7] = "", text[6] = "";
		bool expected;

		for (int k = rand() % 7; k > 0; k--)
			pattern[k - 1] = signs[rand() % 8];
		for (int k = rand() % 6; k > 0; k--)
			text[k - 1] = bytes[rand() % 4];
		expected = !fnmatch(pattern, text, 0);
		if (glob_matches(pattern, text) != expected)
			fail_msg("'%s', '%s': %d here", pattern, text, !expected);
		matched += expected;
	}
	assert_in_range(matched, 3000, 290000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_as_the_c_library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
