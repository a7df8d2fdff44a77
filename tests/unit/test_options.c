/* The command line: what it becomes, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "heap/snapshot.h"
#include "report/report.h"

enum { MAX_ARGS = 32 };

/* Parses a line that is cut at blanks. */
static int parse(const char *line, struct options *ret, struct err *err)
{
	static char text[512];
	static char *argv[MAX_ARGS];
	int argc = 0;

	assert_true(strlen(line) < sizeof(text));
	strcpy(text, line);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
		assert_true(argc < MAX_ARGS - 1);
		argv[argc++] = word;
	}
	argv[argc] = NULL;
	return options_parse(argc, argv, ret, err);
}

static void good(const char *line, struct options *ret)
{
	struct err err = {0};

	if (parse(line, ret, &err))
		fail_msg("'%s': %s", line, err.text);
}

static void refused(const char *line, const char *why)
{
	struct options options;
	struct err err = {0};

	assert_true(parse(line, &options, &err) < 0);
	assert_string_equal(err.text, why);
	options_deinit(&options);
}

static void defaults(void **state)
{
	struct options o;

	(void)state;
	good("memtrace ls", &o);
	assert_int_equal(o.pid, 0);
	assert_string_equal(o.program[0], "ls");
	assert_null(o.program[1]);
	assert_int_equal(o.depth, 64);
	assert_int_equal(o.count, 10);
	assert_int_equal(o.format, REPORT_TEXT);
	assert_int_equal(o.sort, SNAPSHOT_BY_VERDICT);
	assert_int_equal(o.duration_ms, 0);
	assert_int_equal(o.record_every, 1);
	assert_false(o.has_error_exitcode);
	options_deinit(&o);
}

static void every_option(void **state)
{
	struct options o;

	(void)state;
	good("memtrace -p 77 -x status -x report --command=clear -b -d 2m -o file "
	     "--format=json "
	     "-n 0 -s 512 --sort allocs --all --engine=breakpoint --debug-dir=/ --debug-dir "
	     "/usr",
	     &o);
	assert_int_equal(o.pid, 77);
	assert_null(o.program);
	assert_int_equal(o.commands.len, 3);
	assert_string_equal(o.commands.at[0], "status");
	assert_string_equal(o.commands.at[2], "clear");
	assert_true(o.batch);
	assert_int_equal(o.duration_ms, 120000);
	assert_string_equal(o.output, "file");
	assert_int_equal(o.format, REPORT_JSON);
	assert_int_equal(o.count, 0);
	assert_int_equal(o.depth, 512);
	assert_int_equal(o.sort, SNAPSHOT_BY_ALLOCS);
	assert_true(o.all);
	assert_int_equal(o.debug_dirs.len, 2);
	assert_string_equal(o.debug_dirs.at[1], "/usr");
	assert_null(o.debug_dirs.at[2]);
	options_deinit(&o);

	good("memtrace -p 77 --pid=78 -p77", &o);
	assert_int_equal(o.pid, 77);
	assert_int_equal(o.pids.len, 2);
	assert_int_equal(o.pids.at[1], 78);
	options_deinit(&o);

	good("memtrace -iv --debuginfod --error-exitcode=9 --record-stacks=r "
	     "--record-every=100 ls",
	     &o);
	assert_true(o.interactive);
	assert_true(o.verbose);
	assert_true(o.debuginfod);
	assert_true(o.has_error_exitcode);
	assert_int_equal(o.error_exitcode, 9);
	assert_string_equal(o.record, "r");
	assert_int_equal(o.record_every, 100);
	options_deinit(&o);

	good("memtrace --leaks --fail-on=lost ls", &o);
	assert_int_equal(o.fail_on, FAIL_ON_LOST);
	assert_int_equal(o.failures.len, 0);
	assert_true(o.has_error_exitcode);
	assert_int_equal(o.error_exitcode, OPTIONS_FAILED);
	options_deinit(&o);
	good("memtrace --fail-on=used --error-exitcode=9 ls", &o);
	assert_int_equal(o.error_exitcode, 9);
	options_deinit(&o);
	good("memtrace --fail-on=used>9 ls", &o); /* its status is OPTIONS_FAILED by itself */
	assert_false(o.has_error_exitcode);
	options_deinit(&o);
}

static void the_program_keeps_its_options(void **state)
{
	struct options o;

	(void)state;
	good("memtrace -q ls -q --help -p 1", &o);
	assert_true(o.quiet);
	assert_false(o.help);
	assert_int_equal(o.pid, 0);
	assert_string_equal(o.program[0], "ls");
	assert_string_equal(o.program[4], "1");
	options_deinit(&o);
	good("memtrace -- -strange -q", &o);
	assert_string_equal(o.program[0], "-strange");
	assert_false(o.quiet);
	options_deinit(&o);
}

static void what_needs_no_process(void **state)
{
	struct options o;

	(void)state;
	good("memtrace --help", &o);
	assert_true(o.help);
	options_deinit(&o);
	good("memtrace -v --version -q", &o);
	assert_true(o.version);
	options_deinit(&o);
}

static void selftest(void **state)
{
	struct options o;

	(void)state;
	good("memtrace --selftest --action=malloc", &o);
	assert_true(o.selftest);
	assert_string_equal(o.action, "malloc");
	/* nothing allocated: the scenario's counts depend on it */
	assert_null(o.commands.at);
	assert_null(o.debug_dirs.at);
	options_deinit(&o);
}

static void bad_values(void **state)
{
	(void)state;
	refused("memtrace -p 0", "--pid: 0 is not between 1 and 4194304");
	refused("memtrace -p 4194305", "--pid: 4194305 is not between 1 and 4194304");
	refused("memtrace -p 12x", "--pid: no process is called '12x'");
	refused("memtrace -s 0 ls", "--stack-depth: 0 is not between 1 and 512");
	refused("memtrace -s 513 ls", "--stack-depth: 513 is not between 1 and 512");
	refused("memtrace -n 4294967296 ls",
		"--count: 4294967296 is not between 0 and 4294967295");
	refused("memtrace --sort=size ls",
		"--sort: 'size' is not one of: verdict, bytes, blocks, "
		"allocs, growth, age, rate");
	refused("memtrace --format=xml ls",
		"--format: 'xml' is not one of: text, json, folded, pprof, speedscope, "
		"heaptrack, dhat, massif, gperftools, html, snapshot");
	refused("memtrace --memory=1Q ls", "--memory: '1Q' is not a size such as 64M or 2G");
	refused("memtrace --leaks --confirm=2s ls",
		"--confirm and a PROGRAM contradict each other: it ends before a second look");
	refused("memtrace --fail-on=lost ls",
		"--fail-on=lost belongs to --leaks; see 'memtrace --help'");
	refused("memtrace --engine=ebpf ls",
		"--engine: 'ebpf' is not one of: trap, auto, agent, breakpoint");
	refused("memtrace --error-exitcode=0 ls",
		"--error-exitcode: 0 is not between 1 and 255");
	refused("memtrace -d 0s ls", "--duration: 0s is not between 1ms and 100000h");
	refused("memtrace --output= ls", "--output: the FILE is empty");
	refused("memtrace --debug-dir=/dev/null ls",
		"--debug-dir: /dev/null is not a directory");
	refused("memtrace --debug-dir=/no/such ls",
		"--debug-dir: /no/such: No such file or directory");
}

static void bad_lines(void **state)
{
	static const char *const follow[] = {"a,,b", "fork,", "/bin/ls", "none,ls"};
	char line[64], why[160];

	(void)state;
	refused("memtrace", "neither --pid nor a PROGRAM is given; see 'memtrace --help'");
	for (size_t i = 0; i < ARRAY_SIZE(follow); i++) {
		snprintf(line, sizeof(line), "memtrace --follow=%s ls", follow[i]);
		snprintf(why, sizeof(why),
			 "--follow=%s: words with commas between them are wanted, each fork, exec, all, or a program's "
			 "name without its directory",
			 follow[i]);
		refused(line, why);
	}
	refused("memtrace --follow=fork --leaks -p 1",
		"--follow and a look by --leaks alone contradict each other: no child is seen by it");
	refused("memtrace -p", "--pid needs its PID; see 'memtrace --help'");
	refused("memtrace --pid", "--pid needs its PID; see 'memtrace --help'");
	refused("memtrace -Z ls", "unknown option '-Z'; see 'memtrace --help'");
	refused("memtrace -qZ ls", "unknown option '-Z'; see 'memtrace --help'");
	refused("memtrace --zap ls",
		"unknown or ambiguous option '--zap'; see 'memtrace --help'");
	refused("memtrace --de ls",
		"unknown or ambiguous option '--de'; see 'memtrace --help'");
	refused("memtrace --all=1 ls", "--all takes no value; see 'memtrace --help'");
}

static void contradictions(void **state)
{
	(void)state;
	refused("memtrace -p 1 ls",
		"--pid and a PROGRAM ('ls') contradict each other: give one");
	refused("memtrace -p 12 34 56",
		"--pid takes one process, not 12 and 34: give it for each, or the name that "
		"they have");
	refused("memtrace -p 12 34x",
		"--pid and a PROGRAM ('34x') contradict each other: give one");
	refused("memtrace -i -b ls",
		"--batch and --interactive contradict each other: no console, or one");
	refused("memtrace -i -d 5s ls", "--duration and --interactive contradict each other: "
					"stdin is not read with --duration");
	refused("memtrace --no-symbols --debuginfod ls",
		"--no-symbols and --debuginfod contradict each other: no names, or names from "
		"afar");
	refused("memtrace --no-symbols --debug-dir=/ ls",
		"--no-symbols and --debug-dir contradict each other: no names, or names from "
		"there");
	refused("memtrace --selftest -p 1",
		"--selftest and --pid contradict each other: memtrace tests itself alone");
	refused("memtrace --selftest ls",
		"--selftest and a PROGRAM contradict each other: memtrace tests itself alone");
	refused("memtrace --action=malloc ls",
		"--action belongs to --selftest; see 'memtrace --help'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(every_option),
		cmocka_unit_test(the_program_keeps_its_options),
		cmocka_unit_test(what_needs_no_process),
		cmocka_unit_test(selftest),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(bad_lines),
		cmocka_unit_test(contradictions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
