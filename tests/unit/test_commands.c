/* The console's commands: lines in, calls out; and what TAB offers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "cli/commands.h"

static const struct report_options defaults = {.count = 10, .order = SNAPSHOT_BY_BYTES};

static struct command_call good(const char *line)
{
	struct command_call call;
	struct err err = {0};

	if (commands_parse(line, &defaults, &call, &err))
		fail_msg("'%s': %s", line, err.text);
	return call;
}

static void refused(const char *line, const char *why)
{
	struct command_call call;
	struct err err = {0};

	assert_true(commands_parse(line, &defaults, &call, &err) < 0);
	assert_string_equal(err.text, why);
}

static void names(void **state)
{
	(void)state;
	assert_int_equal(good("status").id, COMMAND_STATUS);
	assert_int_equal(good("  status\t").id, COMMAND_STATUS);
	assert_int_equal(good("quit\r").id, COMMAND_QUIT);
	assert_int_equal(good("clear").id, COMMAND_CLEAR);
	assert_int_equal(good("modules").id, COMMAND_MODULES);
	assert_int_equal(good("threads").id, COMMAND_THREADS);
	assert_int_equal(good("").id, COMMAND_NONE);
	assert_int_equal(good(" \t ").id, COMMAND_NONE);
	assert_int_equal(good("# a word to myself").id, COMMAND_NONE);
}

static void names_cut_short(void **state)
{
	(void)state;
	assert_int_equal(good("st").id, COMMAND_STATUS);
	assert_int_equal(good("sa f").id, COMMAND_SAVE);
	refused("s", "'s' may be: status, save");
	assert_int_equal(good("q").id, COMMAND_QUIT);
	assert_int_equal(good("mon").id, COMMAND_MONITOR);
	refused("mo", "'mo' may be: monitor, modules");
	assert_int_equal(good("exi").id, COMMAND_QUIT);
	refused("e", "'e' may be: export, exit");
	assert_int_equal(good("detach").id, COMMAND_QUIT);
	refused("statuses", "unknown command 'statuses'; 'help' lists them");
	refused("bogus", "unknown command 'bogus'; 'help' lists them");
	refused("status now", "'now' is too much; usage: status");
}

static void help(void **state)
{
	(void)state;
	assert_null(good("help").about);
	assert_string_equal(good("help rep").about, "report");
	assert_string_equal(good("help exi").about, "exit");
	refused("help bogus", "unknown command 'bogus'; 'help' lists them");
}

static void marks(void **state)
{
	struct command_call call = good("mark");

	(void)state;
	assert_int_equal(call.id, COMMAND_MARK);
	assert_string_equal(call.mark[0], "");
	assert_string_equal(good("mark a").mark[0], "a");
	assert_int_equal(good("history").report.count, 20);
	assert_int_equal(good("history -n 5").report.count, 5);
	assert_int_equal(good("history #5").report.context, 5);
	refused("history 5 6", "'6' is too much; usage: history [-n N] [CONTEXT]");
	refused("mark a b", "'b' is too much; usage: mark [NAME]");
	refused("mark -x", "a mark's name can't begin with '-'");
	refused("mark a2345678901234567890123456789012",
		"a mark's name has at most 31 characters");
	call = good("diff -n 3 a --all b");
	assert_int_equal(call.id, COMMAND_DIFF);
	assert_int_equal(call.report.count, 3);
	assert_true(call.report.all);
	assert_string_equal(call.mark[0], "a");
	assert_string_equal(call.mark[1], "b");
	refused("diff a b c", "'c' is too much; usage: diff [-n N] [--all] [--in NAME] [--not NAME] "
		"[--min-age TIME] [A [B]]");
	refused("diff --json", "unknown option '--json'; usage: diff [-n N] [--all] [--in NAME] [--not NAME] "
		"[--min-age TIME] [A [B]]");
}

static void report(void **state)
{
	struct command_call call = good("report");

	(void)state;
	assert_int_equal(call.report.count, 10);
	assert_int_equal(call.report.context, 0);
	call = good("report -n 3 --sort blocks --all --json 17");
	assert_int_equal(call.report.count, 3);
	assert_int_equal(call.report.order, SNAPSHOT_BY_BLOCKS);
	assert_true(call.report.all);
	assert_int_equal(call.report.format, REPORT_JSON);
	assert_int_equal(call.report.context, 17);
	call = good("r --sort=allocs -n0 #4294967295");
	assert_int_equal(call.report.count, 0);
	assert_int_equal(call.report.order, SNAPSHOT_BY_ALLOCS);
	assert_int_equal(call.report.context, UINT32_MAX);
}

static void filters_and_sums(void **state)
{
	struct command_call call = good("report --in main --not=std::* -n 3 --by file");

	(void)state;
	assert_string_equal(call.in, "main");
	assert_string_equal(call.not_in, "std::*");
	assert_int_equal(call.report.count, 3);
	assert_int_equal(call.report.by, REPORT_BY_FILE);
	assert_string_equal(good("report --since a").mark[0], "a");
	call = good("tree --callers malloc* --in x");
	assert_true(call.report.tree && call.report.callers);
	assert_string_equal(call.from, "malloc*");
	assert_string_equal(call.in, "x");
	assert_int_equal(call.report.count, 0);
	call = good("diff --not x a");
	assert_string_equal(call.not_in, "x");
	assert_string_equal(call.mark[0], "a");
	refused("report --in", "--in takes a name of at most 159 characters");
	refused("report --by", "--by: '' is not one of: function, file, module, thread");
	refused("report --by=line", "--by: 'line' is not one of: function, file, module, thread");
	assert_int_equal(good("report --by=thread").report.by, REPORT_BY_THREAD);
	refused("tree a b", "'b' is too much; usage: tree [-n N] [--callers] [--in NAME] [--not "
			    "NAME] [--min-age TIME] [NAME]");
	refused("tree -x", "unknown option '-x'; usage: tree [-n N] [--callers] [--in NAME] [--not "
			   "NAME] [--min-age TIME] [NAME]");
}

static void bad_reports(void **state)
{
#define USAGE "; usage: report [OPTION]... [CONTEXT]"
	(void)state;
	refused("report -n", "-n: '' is not a number");
	refused("report -n x", "-n: 'x' is not a number");
	refused("report -n 4294967296", "-n: 4294967296 is not between 0 and 4294967295");
	refused("report --sort", "--sort: '' is not one of: verdict, bytes, blocks, "
				   "allocs, growth, age, rate");
	refused("report --sort=x", "--sort: 'x' is not one of: verdict, bytes, blocks, "
				   "allocs, growth, age, rate");
	refused("report --sorting x", "unknown option '--sorting'" USAGE);
	refused("report 0", "context: 0 is not between 1 and 4294967295");
	refused("report 1 2", "'2' is too much" USAGE);
	refused("report foo", "context: 'foo' is not a number");
}

static void monitor(void **state)
{
	(void)state;
	assert_int_equal(good("monitor").monitor, MONITOR_TOGGLE);
	assert_int_equal(good("monitor stop").monitor, MONITOR_STOP);
	assert_int_equal(good("monitor 5").monitor, MONITOR_EVERY);
	assert_int_equal(good("monitor 5").monitor_ms, 5000);
	assert_int_equal(good("monitor 250ms").monitor_ms, 250);
	refused("monitor 0", "monitor: 0 is not between 100ms and 100000h");
	refused("monitor x", "monitor: 'x' is not a time such as 500ms, 10s, 5m or 2h");
}

static void waiting(void **state)
{
	(void)state;
	assert_int_equal(good("wait 5").wait_ms, 5000);
	assert_int_equal(good("wa 250ms").wait_ms, 250);
	assert_int_equal(good("wait 0").wait_ms, 0);
	refused("wait", "usage: wait TIME");
	refused("wait x", "wait: 'x' is not a time such as 500ms, 10s, 5m or 2h");
	refused("wait 1 2", "'2' is too much; usage: wait TIME");
}

static void looking(void **state)
{
	struct command_call call = good("leaks -n 7 --json --confirm=2s");

	(void)state;
	assert_int_equal(call.id, COMMAND_LEAKS);
	assert_int_equal(call.report.count, 7);
	assert_int_equal(call.report.format, REPORT_JSON);
	assert_int_equal(call.confirm_ms, 2000);
	assert_int_equal(good("why #12").report.context, 12);
	assert_true(good("why 0x55d0c0ffee10").address == 0x55d0c0ffee10);
	assert_true(good("who 55d0c0ffee10").address == 0x55d0c0ffee10);
	assert_int_equal(good("heap").id, COMMAND_HEAP);
	assert_int_equal(good("heap -n 0").report.count, 0);
	assert_int_equal(good("heap -n 7").report.count, 7);
	refused("heap 3", "'3' is too much; usage: heap [-n N]");
	refused("leaks 3", "'3' is too much; usage: leaks [-n N] [--json] [--confirm TIME]");
	refused("why", "usage: why ADDRESS|#ID");
	refused("who #3", "'#3' is not an address such as 0x55d0c0ffee10");
	refused("block 0x", "'0x' is not an address such as 0x55d0c0ffee10");
	refused("block -1", "'-1' is not an address such as 0x55d0c0ffee10");
	refused("block 0x1 2", "'2' is too much; usage: block ADDRESS");
}

static void saving(void **state)
{
	(void)state;
	assert_string_equal(good("save /tmp/s.snap").target, "/tmp/s.snap");
	refused("save", "usage: save FILE");
	refused("save a b", "'b' is too much; usage: save FILE");
	assert_int_equal(good("save /tmp/s.snap").report.format, REPORT_SNAPSHOT);
	assert_int_equal(good("export pprof x").report.format, REPORT_PPROF);
	assert_int_equal(good("export json x").report.count, 0);
	assert_string_equal(good("exp dhat /tmp/x").target, "/tmp/x");
	refused("export", "usage: export FORMAT FILE");
	refused("export dhat", "usage: export FORMAT FILE");
	refused("export dhat a b", "'b' is too much; usage: export FORMAT FILE");
	refused("export xml a",
		"'xml' is not one of: text, json, folded, pprof, speedscope, heaptrack, dhat, "
		"massif, gperftools, html, snapshot");
	refused("save a > b", "'save' has no answer that could go elsewhere");
}

static void elsewhere(void **state)
{
	struct command_call call = good("report -n 3 > /tmp/a file ");

	(void)state;
	assert_int_equal(call.id, COMMAND_REPORT);
	assert_int_equal(call.report.count, 3);
	assert_int_equal(call.output, COMMAND_TO_FILE);
	assert_string_equal(call.target, "/tmp/a file");
	call = good("status|grep -c 'a > b' | cat\r");
	assert_int_equal(call.id, COMMAND_STATUS);
	assert_int_equal(call.output, COMMAND_TO_SHELL);
	assert_string_equal(call.target, "grep -c 'a > b' | cat");
	call = good(" !ls | wc");
	assert_int_equal(call.id, COMMAND_SHELL);
	assert_int_equal(call.output, COMMAND_TO_CONSOLE);
	assert_string_equal(call.target, "ls | wc");
	assert_int_equal(good("status").output, COMMAND_TO_CONSOLE);
	assert_int_equal(good("# a > b | c").id, COMMAND_NONE);
	refused("report >", "no FILE behind >");
	refused("report | ", "no COMMAND behind |");
	refused("!", "no COMMAND behind !");
	refused("> a", "no command before > or |");
	refused("clear > a", "'clear' has no answer that could go elsewhere");
	refused("quit | cat", "'quit' has no answer that could go elsewhere");
	refused("report 1 2 > a", "'2' is too much; usage: report [OPTION]... [CONTEXT]");
}

static void lines_beyond_measure(void **state)
{
	char line[2000];

	(void)state;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	refused(line, "the line is too long");
	for (size_t i = 0; i < 400; i++)
		line[i] = i % 2 ? ' ' : 'x';
	line[400] = '\0';
	refused(line, "the line has too many words");
	line[60] = '\0';
	memset(line, 'x', 60);
	refused(line,
		"unknown command 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'; 'help' lists "
		"them");
}

/* What TAB offers behind `line`, joined by blanks. */
static void offers(const char *line, const char *expected)
{
	const char *blank = strrchr(line, ' ');
	size_t start = blank ? (size_t)(blank - line) + 1 : 0;
	char got[400] = "";
	const char *word;

	for (size_t i = 0; (word = commands_complete(line, start, strlen(line) - start, i));
	     i++) {
		strcat(got, i ? " " : "");
		strcat(got, word);
	}
	assert_string_equal(got, expected);
}

static void completion(void **state)
{
	(void)state;
	offers("",
	       "help status report tree save export monitor clear modules threads history top mark marks diff "
	       "leaks why who block heap processes process wait leave quit detach exit");
	offers("mo", "monitor modules");
	offers("export s", "speedscope snapshot");
	offers("  mo", "monitor modules");
	offers("st", "status");
	offers("x", "");
	offers("help mon", "monitor");
	offers("report ", "-n --sort --all --json --in --not --by --since --min-age");
	offers("rep --", "--sort --all --json --in --not --by --since --min-age");
	offers("report --sort b", "bytes blocks");
	offers("report --all --sort a", "allocs age");
	offers("monitor ", "stop");
	offers("top --sort ", "growth rate bytes");
	offers("status ", "");
	offers("bogus ", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looking), cmocka_unit_test(names),       cmocka_unit_test(names_cut_short),
		cmocka_unit_test(help),	       cmocka_unit_test(marks),
		cmocka_unit_test(report),
		cmocka_unit_test(bad_reports),
		cmocka_unit_test(filters_and_sums), cmocka_unit_test(monitor),
		cmocka_unit_test(waiting),     cmocka_unit_test(saving),
		cmocka_unit_test(elsewhere),   cmocka_unit_test(lines_beyond_measure),
		cmocka_unit_test(completion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
