/* The command line of memtrace-fs, as base/option_table.h reads it. */
#include "serve/serve_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/report.h"

#define AT(member) offsetof(struct serve_options, member)


static const struct option_row rows[] = {
	{'l', "listen", "ADDR[:PORT]", "wait for memtrace there (default [::]:3002)",
	 .kind = KIND_TEXT, .field = AT(listen_at)},
	{'c', "connect", "HOST[:PORT]", "connect to a memtrace that listens (-l)",
	 .kind = KIND_TEXT, .field = AT(connect_to)},
	{0, "no-announce", NULL, "do not answer searches on the local network",
	 .kind = KIND_FLAG, .field = AT(no_announce)},
	{0, "interface", "IF", "answer searches on this network interface only",
	 .kind = KIND_TEXT, .field = AT(interface)},
	{0, "report", "FILE", "print a snapshot or JSON report with names, and end",
	 .kind = KIND_TEXT, .field = AT(report)},
	{0, "format", "FORMAT", "with --report: text, json, ... (as of memtrace)",
	 .kind = KIND_CHOICE, .field = AT(format), .choices = report_formats_of_files},
	{0, "no-command", NULL, "with --report: without the process' arguments",
	 .kind = KIND_FLAG, .field = AT(no_command)},
	{0, "no-lines", NULL, "with --report: without source files and lines",
	 .kind = KIND_FLAG, .field = AT(no_lines)},
	{'n', "count", "N", "with --report: call stacks (default 10, 0 = all)",
	 .kind = KIND_NUMBER, .field = AT(count), .max = ITS_COUNT - 1},
	{0, "sort", "KEY", "with --report: order of call stacks, as memtrace's",
	 .kind = KIND_CHOICE, .field = AT(order), .choices = snapshot_orders},
	{0, "all", NULL, "with --report: also what has nothing in use any more",
	 .kind = KIND_FLAG, .field = AT(all)},
	{0, "each", NULL, "with --report: one document of several processes",
	 .kind = KIND_FLAG, .field = AT(each)},
	{0, "baseline", "FILE", "with --report: what is new or has grown since, alone",
	 .kind = KIND_TEXT, .field = AT(baseline)},
	{0, "fail-on", "EXPR", "with --report: used, verdict, context:used>4K ...",
	 .kind = KIND_LIST, .field = AT(fail_on)},
	{0, "suppressions", "FILE", "with --fail-on: what does not count (repeatable)",
	 .kind = KIND_LIST, .field = AT(suppressions)},
	{0, "strip-prefix", "DIR", "with --format=sarif: name files from DIR on",
	 .kind = KIND_TEXT, .field = AT(strip_prefix)},
	{0, "error-exitcode", "N", "exit N when --fail-on applies (default 2)",
	 .kind = KIND_NUMBER, .field = AT(error_exitcode), .min = 1, .max = 255},
	{0, "debuginfod", NULL, "also ask $DEBUGINFOD_URLS for debug files", .kind = KIND_FLAG,
	 .field = AT(debuginfod)},
	{0, "debug-dir", "DIR", "with --fd: also look below DIR (repeatable)",
	 .kind = KIND_LIST, .field = AT(debug_dirs)},
	{0, "serve-dir", "DIR", "with --fd: DIR is another machine's (repeatable)",
	 .kind = KIND_LIST, .field = AT(dirs), .hidden = true},
	{0, "fd", "N", "serve the connection that file descriptor N is", .kind = KIND_NUMBER,
	 .field = AT(fd), .max = NO_FD - 1},
	{0, "memory", "SIZE", "that a look for leaks may take (default: 1/4)",
	 .kind = KIND_SIZE, .field = AT(memory), .min = 1 << 20},
	{'v', "verbose", NULL, "say what is asked, and where names come from",
	 .kind = KIND_FLAG, .field = AT(verbose)},
	{'h', "help", NULL, "this text", .kind = KIND_FLAG, .field = AT(help)},
	{0, "version", NULL, "memtrace-fs's version", .kind = KIND_FLAG, .field = AT(version)},
	{0, "dump-options", NULL, "this table", .kind = KIND_FLAG, .field = AT(dump),
	 .hidden = true},
};

static const struct option_table table = {
	.program = "memtrace-fs",
	.rows = rows,
	.count = ARRAY_SIZE(rows),
};

_Static_assert(ARRAY_SIZE(rows) <= OPTION_TABLE_MAX, "more than a table may have");

void serve_options_help(FILE *out)
{
	fputs("Usage: memtrace-fs [OPTION]... DIR...\n"
	      "       memtrace-fs --report FILE [LATER-FILE]... [DIR]...\n"
	      "\n"
	      "Answers memtrace's questions about the programs and libraries below each DIR,\n"
	      "which are those of the target before they were stripped: functions, files,\n"
	      "lines, and how to unwind.  On one machine memtrace starts it by itself.\n"
	      "\n",
	      out);
	option_table_help(&table, out);
}

void serve_options_dump(FILE *out)
{
	option_table_dump(&table, out);
}

/* What contradicts itself, or is not enough. */
static int check(const struct serve_options *o, bool words, struct err *err)
{
	bool calls = o->listen_at || o->connect_to;

	if (o->fd != NO_FD && (words || calls || o->report))
		return err_set(err, -EINVAL,
			       "--fd serves one connection of this machine: it "
			       "takes no DIR, --listen, --connect or --report");
	if (o->listen_at && o->connect_to)
		return err_set(err, -EINVAL,
			       "--listen and --connect contradict each other: "
			       "wait, or call");
	if (o->report && o->format != ITS_FORMAT && report_is_binary(o->format) &&
	    isatty(STDOUT_FILENO))
		return err_set(err, -EINVAL, "--format=%s is no text: send it into a file",
			       report_formats_of_files[o->format]);
	if ((o->baseline || o->fail_on.len || o->suppressions.len) && !o->report)
		return err_set(err, -EINVAL, "--baseline, --fail-on and --suppressions belong to "
					     "--report");
	if (o->suppressions.len && !o->fail_on.len)
		return err_set(err, -EINVAL, "--suppressions belongs to --fail-on");
	if (o->format != ITS_FORMAT && report_is_results(o->format) && !o->fail_on.len)
		return err_set(err, -EINVAL, "--format=%s says what came of --fail-on",
			       report_formats_of_files[o->format]);
	if (o->each && (o->earlier || !o->report))
		return err_set(err, -EINVAL, "--each belongs to --report, without --baseline");
	if (o->each && o->format != ITS_FORMAT && o->format != REPORT_TEXT && o->format != REPORT_JSON &&
	    o->format != REPORT_HTML)
		return err_set(err, -EINVAL, "several processes have a document as text, json or html, not %s",
			       report_formats_of_files[o->format]);
	if (o->between.len && !o->each && o->format != ITS_FORMAT && o->format != REPORT_TEXT)
		return err_set(err, -EINVAL, "more than two files are a history as text, not %s",
			       report_formats_of_files[o->format]);
	if (o->compares && o->format != ITS_FORMAT && o->format != REPORT_TEXT &&
	    o->format != REPORT_HTML)
		return err_set(err, -EINVAL, "two files are compared as text or html, not %s",
			       report_formats_of_files[o->format]);
	if (o->report && calls)
		return err_set(err, -EINVAL, "--report needs no connection");
	if (o->fd == NO_FD && !o->report && !o->dirs.len)
		return err_set(err, -EINVAL, "no DIR is given; see 'memtrace-fs --help'");
	return 0;
}

static int read_endpoints(struct serve_options *o, struct err *err)
{
	int e = o->listen_at ? endpoint_parse(o->listen_at, "--listen", &o->listen, err) : 0;

	return !e && o->connect_to
		       ? endpoint_parse(o->connect_to, "--connect", &o->connect, err)
		       : e;
}

/* An empty one, too, ends with a NULL. */
static int end_list(struct option_list *list, struct err *err)
{
	if (!vec_reserve(list, list->len + 1))
		return err_set(err, -ENOMEM, "no memory");
	list->at[list->len] = NULL;
	return 0;
}

/* A directory; or, behind --report FILE, a later file, or several. */
static int take_word(struct serve_options *o, const char *word, struct err *err)
{
	struct stat st;

	if (!o->report || stat(word, &st) || S_ISDIR(st.st_mode))
		return option_list_add(&o->dirs, word, err);
	if (o->each)
		return option_list_add(&o->between, word, err);
	if (o->earlier && option_list_add(&o->between, o->report, err))
		return err->code;
	if (!o->earlier)
		o->earlier = o->report;
	o->report = word;
	o->compares = true;
	return 0;
}

static int read_all(int argc, char *argv[], struct serve_options *o, struct err *err)
{
	int first, e = option_table_read(&table, argc, argv, o, &first, err);

	for (int i = first; !e && i < argc; i++)
		e = take_word(o, argv[i], err);
	if (!e)
		e = end_list(&o->dirs, err);
	if (!e)
		e = end_list(&o->debug_dirs, err);
	if (!e && o->baseline && o->compares)
		e = err_set(err, -EINVAL, "--baseline and a later file contradict each other: "
					  "the first file is the baseline");
	if (o->baseline)
		o->earlier = o->baseline;
	if (!e)
		e = read_endpoints(o, err);
	return e || o->help || o->version || o->dump ? e : check(o, first < argc, err);
}

int serve_options_read(int argc, char *argv[], struct serve_options *ret, struct err *err)
{
	int e;

	*ret = (struct serve_options){.fd = NO_FD, .format = ITS_FORMAT, .count = ITS_COUNT, .error_exitcode = 2};
	e = read_all(argc, argv, ret, err);
	if (e)
		serve_options_deinit(ret);
	return e;
}

void serve_options_deinit(struct serve_options *options)
{
	vec_deinit(&options->debug_dirs);
	vec_deinit(&options->dirs);
	vec_deinit(&options->fail_on);
	vec_deinit(&options->between);
	vec_deinit(&options->suppressions);
}
