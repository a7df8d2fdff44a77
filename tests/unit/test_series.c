/* Names of a series of files, and which of them stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/series.h"

static void names(void **state)
{
	const struct tm now = {.tm_year = 126, .tm_mon = 10, .tm_mday = 9, .tm_hour = 7, .tm_sec = 5};
	struct series series = {.written = 11, .pid = 4711};
	char name[PATH_MAX], lengthy[PATH_MAX];

	(void)state;
	series_name(&series, "/tmp/%Y%m%d-%H%M%S.%n.100%%", &now, name);
	assert_string_equal(name, "/tmp/20261109-070005.0012.100%");
	series_name(&series, "of-%p", &now, name);
	assert_string_equal(name, "of-4711");
	series_name(&series, "plain", &now, name);
	assert_string_equal(name, "plain");
	memset(lengthy, 'x', sizeof(lengthy));
	lengthy[sizeof(lengthy) - 1] = '\0';
	series_name(&series, lengthy, &now, name);
	assert_int_equal(strlen(name), PATH_MAX - 24);
}

static void checks(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(series_check("%Y%m%d%H%M%S%n%%", &err), 0);
	assert_int_equal(series_check("/%n", &err), 0);
	assert_int_equal(series_check("/tmp/%n", &err), 0);
	assert_int_equal(series_check("report%", &err), -EINVAL);
	assert_int_equal(series_check("%Q", &err), -EINVAL);
	assert_string_equal(err.text, "--output: '%Q' is none of %Y %m %d %H %M %S (the time), "
				      "%n (a number), %p (the pid) and %%");
	assert_int_equal(series_check("%p", &err), 0);
	assert_true(series_has_pid("/tmp/%n-%p.txt"));
	assert_false(series_has_pid("100%%p%n"));
	assert_false(series_has_pid("p%"));
	assert_false(series_has_pid(NULL));
	assert_int_equal(series_check("/tmp/%n/x", &err), -EINVAL);
	assert_int_equal(series_check("/nowhere/at/all/%n", &err), -ENOENT);
	assert_int_equal(series_check("/dev/null/%n", &err), -ENOTDIR);
}

/* 1000 reports, one a second, of which 8 stay. */
static void old_ones_are_thinned_out(void **state)
{
	static const int64_t kept[] = {1, 688, 909, 960, 993, 998, 999, 1000};
	struct series series = {0};
	char folder[] = "/tmp/series-XXXXXX", path[64];
	int present = 0;

	(void)state;
	assert_non_null(mkdtemp(folder));
	for (int i = 1; i <= 1000; i++) {
		snprintf(path, sizeof(path), "%s/%d", folder, i);
		close(open(path, O_CREAT | O_WRONLY, 0600));
		series_add(&series, path, i * 1000, 8);
		assert_int_equal(series.files.len, i < 8 ? i : 8);
	}
	assert_int_equal(series.written, 1000);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(series.files.at[i].ms, kept[i] * 1000);
	for (int i = 1; i <= 1000; i++) {
		snprintf(path, sizeof(path), "%s/%d", folder, i);
		present += !unlink(path);
	}
	assert_int_equal(present, 8);
	series_deinit(&series);
	assert_int_equal(rmdir(folder), 0);
}

/* One that was written again is one file; what is no file of ours any more is left alone. */
static void what_is_not_deleted(void **state)
{
	struct series series = {0};
	char folder[] = "/tmp/series-XXXXXX", path[64];
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/link", folder);
	assert_int_equal(symlink("elsewhere", path), 0);
	series_add(&series, path, 1, 1);
	series_add(&series, path, 2, 1);
	assert_int_equal(series.files.len, 1);
	series_add(&series, "/nowhere/at/all", 3, 1);
	assert_int_equal(series.files.len, 1);
	assert_string_equal(series.files.at[0].path, "/nowhere/at/all");
	assert_int_equal(lstat(path, &st), 0);
	unlink(path);
	rmdir(folder);
	series_deinit(&series);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(checks),
		cmocka_unit_test(old_ones_are_thinned_out),
		cmocka_unit_test(what_is_not_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
