/* What a process may still take, by limits that the test sets itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tracer/memory_limit.h"

static char root[] = "/tmp/test_memory_limit.XXXXXX";

static void put(const char *name, const char *text)
{
	char path[200];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void expect_limit(uint64_t bytes, uint64_t left)
{
	const struct memory_limit limit = memory_limit_read(getpid(), root);

	assert_int_equal(limit.bytes, bytes);
	assert_int_equal(limit.left, left);
}

/* The version of the memory groups that this machine's kernel puts us into; 0: none. */
static int version(void)
{
	FILE *in = fopen("/proc/self/cgroup", "r");
	char line[4096];
	int found = 0;

	while (in && fgets(line, sizeof(line), in))
		if (strstr(line, ":memory:") || strstr(line, ",memory"))
			found = 1;
		else if (!found && !strncmp(line, "0::", 3))
			found = 2;
	if (in)
		fclose(in);
	return found;
}

/* The group itself is not there: that at the root counts, as in a container. */
static void test_groups(void **state)
{
	bool v1 = version() == 1;
	char path[200];

	(void)state;
	if (!version())
		skip();
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/memory", root);
	mkdir(path, 0700);
	expect_limit(0, 0);
	put(v1 ? "memory/memory.usage_in_bytes" : "memory.current", "400000\n");
	put(v1 ? "memory/memory.limit_in_bytes" : "memory.max",
	    v1 ? "9223372036854771712\n" : "max\n");
	expect_limit(0, 0);
	put(v1 ? "memory/memory.limit_in_bytes" : "memory.max", "1000000\n");
	expect_limit(1000000, 600000);
	put(v1 ? "memory/memory.stat" : "memory.stat",
	    v1 ? "inactive_file 7\ntotal_inactive_file 50000\n" : "anon 9\ninactive_file 50000\n");
	expect_limit(1000000, 650000); /* what the kernel drops is not in use */
	put(v1 ? "memory/memory.usage_in_bytes" : "memory.current", "1050001\n");
	expect_limit(1000000, 0);
	snprintf(path, sizeof(path), "rm -r %s", root);
	assert_int_equal(system(path), 0);
}

/* The lower of two counts; in a child, whose limit ends with it. */
static void test_address_space(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid) {
		const struct rlimit limit = {1ull << 40, 1ull << 40};
		struct memory_limit found;

		setrlimit(RLIMIT_AS, &limit);
		found = memory_limit_read(getpid(), "/nowhere");
		_exit(found.bytes == limit.rlim_cur && found.left < found.bytes &&
			      found.left > found.bytes / 2
		      ? 0
		      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (sizeof(rlim_t) == 8 && sizeof(void *) == 8)
		assert_int_equal(status, 0);
	assert_int_equal(memory_limit_read(0x7fffffff, "/nowhere").bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_address_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
