/*
 * The command line of memtrace, as base/option_table.h reads it; check_*() refuse what
 * contradicts.
 */
#include "cli/options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/option_table.h"
#include "capture/resident.h"
#include "cli/cgroup.h"
#include "cli/process_name.h"
#include "cli/judge_check.h"
#include "cli/series.h"
#include "cli/viewers.h"
#include "cli/wrapper.h"
#include "heap/snapshot.h"
#include "report/report.h"

static const char *const engines[] = {
	[CAPTURE_TRAP] = "trap", [CAPTURE_AUTO] = "auto", [CAPTURE_AGENT] = "agent",
	[CAPTURE_AGENT + 1] = "breakpoint", NULL};

enum { PROCESSES_MOST = 256 };

#define AT(member) offsetof(struct options, member)

static const struct option_row rows[] = {
	{'p', "pid", "PID", "attach to processes, by number or name (repeatable)",
	 .kind = KIND_LIST, .field = AT(processes)},
	{0, "cgroup", "PATH", "attach to a control group, and to who joins it",
	 .kind = KIND_TEXT, .field = AT(cgroup)},
	{0, "unit", "NAME", "the same of a unit of systemd", .kind = KIND_TEXT, .field = AT(unit)},
	{'x', "command", "CMD", "run a console command once attached (repeatable)",
	 .kind = KIND_LIST, .field = AT(commands)},
	{'b', "batch", NULL, "no console: run the -x commands, then detach", .kind = KIND_FLAG,
	 .field = AT(batch)},
	{'d', "duration", "TIME", "detach after TIME (500ms, 10s, 5m, 2h)", .kind = KIND_TIME,
	 .field = AT(duration_ms), .min = 1},
	{'i', "interactive", NULL, "console with a PROGRAM too (its stdin is /dev/null)",
	 .kind = KIND_FLAG, .field = AT(interactive)},
	{'o', "output", "FILE", "write the final report to FILE (%p: the pid)", .kind = KIND_TEXT,
	 .field = AT(output)},
	{0, "every", "TIME", "a report each TIME; FILE then has %Y%m%d-%H%M%S or %n",
	 .kind = KIND_TIME, .field = AT(every_ms), .min = 100},
	{0, "keep", "N", "files of --every, old ones thinned out (default 100)",
	 .kind = KIND_NUMBER, .field = AT(keep), .min = 1, .max = 100000},
	{0, "format", "FORMAT", "of the final report: text, json, ... (see below)",
	 .kind = KIND_CHOICE, .field = AT(format), .choices = report_formats},
	{0, "no-command", NULL, "leave the process' arguments out of reports",
	 .kind = KIND_FLAG, .field = AT(no_command)},
	{0, "no-lines", NULL, "leave source files and lines out of reports",
	 .kind = KIND_FLAG, .field = AT(no_lines)},
	{'n', "count", "N", "contexts in a report (default 10, 0 = all)", .kind = KIND_NUMBER,
	 .field = AT(count), .max = UINT_MAX},
	{'s', "stack-depth", "N", "frames kept per stack (default 64, maximum 512)",
	 .kind = KIND_NUMBER, .field = AT(depth), .min = 1, .max = OPTIONS_MAX_DEPTH},
	{0, "sort", "KEY", "verdict, bytes, blocks, allocs, growth, age or rate",
	 .kind = KIND_CHOICE, .field = AT(sort), .choices = snapshot_orders},
	{0, "follow", "WHOM", "children, too: fork, exec, all, NAME,... (none)",
	 .kind = KIND_TEXT, .field = AT(follow)},
	{0, "min-age", "TIME", "only contexts with blocks in use for TIME or longer",
	 .kind = KIND_TIME, .field = AT(min_age_ms), .min = 10},
	{0, "mmap", NULL, "also what is mapped by mmap, mremap and brk, apart",
	 .kind = KIND_FLAG, .field = AT(mappings)},
	{0, "all", NULL, "also contexts with nothing in use any more", .kind = KIND_FLAG,
	 .field = AT(all)},
	{0, "leaks", NULL, "say what is lost: at the end, or at once (-p alone)",
	 .kind = KIND_FLAG, .field = AT(leaks)},
	{0, "confirm", "TIME", "lost is only what is so in a second look TIME later",
	 .kind = KIND_TIME, .field = AT(confirm_ms), .min = 1},
	{0, "max-pause", "TIME", "refuse a look that would stop the process for longer",
	 .kind = KIND_TIME, .field = AT(max_pause_ms), .min = 1},
	{0, "memory", "SIZE", "that a look for leaks may take: 64M, 2G", .kind = KIND_SIZE,
	 .field = AT(memory)},
	{0, "mark-every", "TIME", "a mark each TIME, for the command diff", .kind = KIND_TIME,
	 .field = AT(mark_every_ms), .min = 100},
	{0, "history", "SIZE", "memory for the course of totals (default 2M)",
	 .kind = KIND_SIZE, .field = AT(history)},
	{0, "fail-on", "EXPR", "fail for used, lost, verdict, context:used>4K ...",
	 .kind = KIND_LIST, .field = AT(failures)},
	{0, "baseline", "FILE", "--fail-on counts only what is new or has grown since",
	 .kind = KIND_TEXT, .field = AT(baseline)},
	{0, "suppressions", "FILE", "what --fail-on does not count (repeatable)",
	 .kind = KIND_LIST, .field = AT(suppressions)},
	{0, "stay", NULL, "at the end the capture goes on in the process",
	 .kind = KIND_FLAG, .field = AT(stay)},
	{0, "clear", NULL, "only take out what memtraces left in -p PID",
	 .kind = KIND_FLAG, .field = AT(clear)},
	{0, "engine", "ENGINE", "how calls are captured: trap, agent, auto", .kind = KIND_CHOICE,
	 .field = AT(engine), .choices = engines},
	{0, "min-size", "BYTES", "allocations of less are not counted", .kind = KIND_SIZE,
	 .field = AT(min_size)},
	{0, "sample", "BYTES", "count a sample, a point each BYTES (to 64M)",
	 .kind = KIND_SIZE, .field = AT(sample)},
	{0, "max-overhead", "PERCENT", "sample so coarsely that it costs no more",
	 .kind = KIND_NUMBER, .field = AT(max_overhead), .min = 1, .max = 1000},
	{'c', "connect", "HOST[:PORT]", "take names from the memtrace-fs that serves there",
	 .kind = KIND_TEXT, .field = AT(connect)},
	{'l', "listen", "ADDR[:PORT]", "wait there for a memtrace-fs to connect",
	 .kind = KIND_TEXT, .field = AT(listen)},
	{'a', "autoconnect", NULL, "search the local network for memtrace-fs",
	 .kind = KIND_FLAG, .field = AT(autoconnect)},
	{0, "debug-dir", "DIR", "also look for debug files below DIR (repeatable)",
	 .kind = KIND_LIST, .field = AT(debug_dirs)},
	{0, "debuginfod", NULL, "also ask the servers of $DEBUGINFOD_URLS", .kind = KIND_FLAG,
	 .field = AT(debuginfod)},
	{0, "no-symbols", NULL, "addresses only; do not start memtrace-fs", .kind = KIND_FLAG,
	 .field = AT(no_symbols)},
	{0, "error-exitcode", "N", "exit N when blocks are in use, and all else is well",
	 .kind = KIND_NUMBER, .field = AT(error_exitcode), .min = 1, .max = 255},
	{0, "doctor", NULL, "say whether attaching would work, and why not", .kind = KIND_FLAG,
	 .field = AT(doctor)},
	{0, "selftest", NULL, "run memtrace's own scenarios under itself", .kind = KIND_FLAG,
	 .field = AT(selftest)},
	{0, "action", "NAME", "with --selftest: perform the scenario NAME only",
	 .kind = KIND_TEXT, .field = AT(action)},
	{'v', "verbose", NULL, "each step of the attach; allocator frames, libraries",
	 .kind = KIND_FLAG, .field = AT(verbose)},
	{'q', "quiet", NULL, "no words but reports, warnings and errors", .kind = KIND_FLAG,
	 .field = AT(quiet)},
	{'h', "help", NULL, "this text", .kind = KIND_FLAG, .field = AT(help)},
	{0, "version", NULL, "memtrace's version", .kind = KIND_FLAG, .field = AT(version)},
	{0, "record-stacks", "FILE", "write sampled stacks to FILE", .kind = KIND_TEXT,
	 .field = AT(record), .hidden = true},
	{0, "record-every", "N", "sample every n-th allocation", .kind = KIND_NUMBER,
	 .field = AT(record_every), .min = 1, .max = UINT_MAX, .hidden = true},
	{0, "record-case", "DIR", "write an unwind case per call stack into DIR",
	 .kind = KIND_TEXT, .field = AT(record_case), .hidden = true},
	{0, "dump-options", NULL, "this table", .kind = KIND_FLAG, .field = AT(dump),
	 .hidden = true},
};

/* What follows from an option besides its value. */
static void taken(const struct option_row *row, void *arg)
{
	struct options *o = arg;

	if (row->field == AT(error_exitcode))
		o->has_error_exitcode = true;
	if (row->field == AT(engine))
		o->has_engine = true;
	if (row->field == AT(follow))
		o->follow_given = true;
	if (row->field == AT(quiet)) /* the last of the two counts */
		o->verbose = false;
	if (row->field == AT(verbose))
		o->quiet = false;
}

static const struct option_table table = {
	.program = "memtrace",
	.rows = rows,
	.count = ARRAY_SIZE(rows),
	.stops = true,
	.taken = taken,
};

_Static_assert(ARRAY_SIZE(rows) <= OPTION_TABLE_MAX, "more than a table may have");

/* ---- contradictions ---------------------------------------------------------- */

#define HINT "; see 'memtrace --help'"

static bool is_number(const char *word)
{
	return *word && !word[strspn(word, "0123456789")];
}

static int check_target(const struct options *o, struct err *err)
{
	if (o->pid && o->program && is_number(o->program[0]))
		return err_set(
			err, -EINVAL,
			"--pid takes one process, not %d and %s: give it for each, or the "
			"name that they have",
			o->pid, o->program[0]);
	if (o->pid && o->program)
		return err_set(err, -EINVAL,
			       "--pid and a PROGRAM ('%s') contradict each other: give one",
			       o->program[0]);
	if (!o->pid && !o->program)
		return err_set(err, -EINVAL, "neither --pid nor a PROGRAM is given" HINT);
	if (o->program && !*o->program[0])
		return err_set(err, -EINVAL, "the name of the PROGRAM is empty");
	for (size_t i = 0; i < o->pids.len; i++)
		if (o->pids.at[i] == getpid())
			return err_set(err, -EINVAL, "memtrace can't attach to itself (pid %d)",
				       o->pids.at[i]);
	return 0;
}

/* Names from another machine. */
static bool remote(const struct options *o)
{
	return o->connect || o->listen || o->autoconnect;
}

static bool is_sampled(const struct options *o)
{
	return o->sample || o->max_overhead;
}

/* As it was asked for. */
static bool is_trap(const struct options *o)
{
	return o->has_engine && (o->engine == CAPTURE_TRAP || o->engine > CAPTURE_AGENT);
}

static int check_pairs(const struct options *o, struct err *err)
{
	const struct {
		bool both;
		const char *one, *other, *why;
	} pairs[] = {
		{o->batch && o->interactive, "--batch", "--interactive", "no console, or one"},
		{o->duration_ms && o->interactive, "--duration", "--interactive",
		 "stdin is not read with --duration"},
		{o->no_symbols && o->debuginfod, "--no-symbols", "--debuginfod",
		 "no names, or names from afar"},
		{o->no_symbols && o->debug_dirs.len, "--no-symbols", "--debug-dir",
		 "no names, or names from there"},
		{o->doctor && o->program, "--doctor", "a PROGRAM",
		 "it is about processes that run"},
		{o->doctor && o->selftest, "--doctor", "--selftest", "give one"},
		{o->connect && o->listen, "--connect", "--listen", "call, or wait"},
		{o->connect && o->autoconnect, "--connect", "--autoconnect",
		 "one server, or any"},
		{o->listen && o->autoconnect, "--listen", "--autoconnect", "wait, or search"},
		{o->no_symbols && o->connect, "--no-symbols", "--connect",
		 "no names, or names from there"},
		{o->no_symbols && o->listen, "--no-symbols", "--listen",
		 "no names, or names from there"},
		{o->no_symbols && o->autoconnect, "--no-symbols", "--autoconnect",
		 "no names, or names from afar"},
		{remote(o) && o->debug_dirs.len, "--debug-dir", "a memtrace-fs elsewhere",
		 "give the directories to it"},
		{remote(o) && o->debuginfod, "--debuginfod", "a memtrace-fs elsewhere",
		 "give the option to it"},
		{o->confirm_ms && o->program, "--confirm", "a PROGRAM",
		 "it ends before a second look"},
		{o->clear && o->program, "--clear", "a PROGRAM", "it is about a process that runs"},
		{o->clear && o->stay, "--clear", "--stay", "nothing, or all is to go on"},
		{is_sampled(o) && is_trap(o), o->sample ? "--sample" : "--max-overhead",
		 "--engine=trap",
		 "each call stops there all the same; leave --engine out"},
		{o->stay && o->mappings, "--stay", "--mmap", "it takes memtrace to follow that"},
		{o->selftest && o->pid, "--selftest", "--pid", "memtrace tests itself alone"},
		{o->selftest && o->program, "--selftest", "a PROGRAM",
		 "memtrace tests itself alone"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (pairs[i].both)
			return err_set(err, -EINVAL, "%s and %s contradict each other: %s",
				       pairs[i].one, pairs[i].other, pairs[i].why);
	if ((o->confirm_ms || o->fail_on == FAIL_ON_LOST) && !o->leaks)
		return err_set(err, -EINVAL, "%s belongs to --leaks" HINT,
			       o->confirm_ms ? "--confirm" : "--fail-on=lost");
	if (o->leaks && o->format != REPORT_TEXT && o->format != REPORT_JSON)
		return err_set(err, -EINVAL,
			       "--leaks and --format=%s contradict each other: it has no place "
			       "for what a look finds",
			       report_formats[o->format]);
	if ((o->every_ms && !o->output) || (o->keep && !o->every_ms))
		return err_set(err, -EINVAL, "%s" HINT,
			       o->keep ? "--keep belongs to --every, and that to --output"
				       : "--every belongs to --output");
	if (o->follow && options_look_only(o))
		return err_set(err, -EINVAL,
			       "--follow and a look by --leaks alone contradict each other: no "
			       "child is seen by it");
	if (o->action && !o->selftest)
		return err_set(err, -EINVAL, "--action belongs to --selftest" HINT);
	return 0;
}

/* Cuts "used" and "lost" out of the list, which are of --error-exitcode (else 2) and --leaks; but
 * what counts only in part has no other name than "used". */
static int sort_failures(struct options *o, struct err *err)
{
	bool parts = o->baseline || o->suppressions.len;
	size_t kept = 0;

	if (o->failures.len)
		o->fail_on = FAIL_ON_EXPRESSIONS;
	for (size_t i = 0; i < o->failures.len; i++) {
		const char *text = o->failures.at[i];

		if (!strcmp(text, "used") && !parts)
			o->fail_on = FAIL_ON_USED;
		else if (!strcmp(text, "lost"))
			o->fail_on = FAIL_ON_LOST;
		else
			o->failures.at[kept++] = text;
	}
	if (kept < o->failures.len && !o->has_error_exitcode) {
		o->has_error_exitcode = true;
		o->error_exitcode = OPTIONS_FAILED;
	}
	o->failures.len = kept;
	return judge_check(o, err);
}

static int check_debug_dirs(const struct options *o, struct err *err)
{
	struct stat st;

	for (size_t i = 0; i < o->debug_dirs.len; i++) {
		const char *dir = o->debug_dirs.at[i];

		if (stat(dir, &st))
			return err_sys(err, -errno, "--debug-dir: %s", dir);
		if (!S_ISDIR(st.st_mode))
			return err_set(err, -ENOTDIR, "--debug-dir: %s is not a directory",
				       dir);
	}
	return 0;
}

/* Each would write the same file, or wait at the same address. */
static int check_several(const struct options *o, struct err *err)
{
	const char *what = o->every_ms ? "--every" : o->listen ? "--listen" : NULL;

	if (o->pids.len > PROCESSES_MOST)
		return err_set(err, -EINVAL, "%zu processes are too many: at most %d",
			       o->pids.len, PROCESSES_MOST);
	if (!options_several(o) || o->follow_behind || (o->output_each && !o->listen))
		return 0;
	if (what)
		return err_set(err, -EINVAL, "%s is for one process, not several%s", what,
			       o->every_ms ? ", without %p in --output" : "");
	if (o->format != REPORT_TEXT && o->format != REPORT_JSON && o->format != REPORT_HTML)
		return err_set(err, -EINVAL,
			       "--format=%s has a file for each process: give one with %%p to --output",
			       report_formats[o->format]);
	return 0;
}

/* Beside the words of a console, or on a terminal, it is of no use. */
static int check_format(const struct options *o, struct err *err)
{
	if (report_is_viewers(o->format) && !viewers())
		return err_set(err, -EINVAL,
			       "this memtrace is a small one: write --format=snapshot, and "
			       "'memtrace-fs --report FILE --format=%s' makes it of that",
			       report_formats[o->format]);
	if (!report_is_binary(o->format) || o->output || (o->pid && !isatty(STDOUT_FILENO)))
		return 0;
	return err_set(err, -EINVAL, "--format=%s is no text: give a FILE with --output",
		       report_formats[o->format]);
}

static int check(const struct options *o, struct err *err)
{
	int rc = check_pairs(o, err);

	if (!rc)
		rc = check_debug_dirs(o, err);
	if (!rc && (o->every_ms || o->output_each))
		rc = series_check(o->output, err);
	if (!rc && !o->selftest && !o->doctor)
		rc = check_target(o, err);
	if (!rc)
		rc = check_several(o, err);
	if (!rc)
		rc = check_format(o, err);
	return rc;
}

/* Which processes are in it now. */
static int take_group(struct options *o, struct err *err)
{
	int rc = 0;

	if (o->cgroup && o->unit)
		return err_set(err, -EINVAL, "--cgroup and --unit contradict each other: give one");
	if (!o->cgroup && !o->unit)
		return 0;
	o->group = malloc(CGROUP_PATH);
	if (!o->group)
		return err_set(err, -ENOMEM, "memory is short");
	rc = o->cgroup ? cgroup_of_path(o->cgroup, o->group, err)
		       : cgroup_of_unit(o->unit, o->group, err);
	if (rc)
		return rc;
	cgroup_members(o->group, &o->pids);
	return o->pids.len ? 0 : err_set(err, -ESRCH, "no process is in %s", o->group);
}

/* Four words of --follow are no names. */
static int take_children(struct options *o, struct err *err)
{
	if (o->follow && !strcmp(o->follow, "none"))
		o->follow = NULL;
	for (const char *word = o->follow; word; word = word[strcspn(word, ",")] ? strchr(word, ',') + 1 : NULL) {
		size_t len = strcspn(word, ",");
		bool all = len == 3 && !memcmp(word, "all", 3), fork = len == 4 && !memcmp(word, "fork", 4);

		if (!len || memchr(word, '/', len) || (len == 4 && !memcmp(word, "none", 4)))
			return err_set(err, -EINVAL,
				       "--follow=%s: words with commas between them are wanted, each fork, exec, all, or a "
				       "program's name without its directory",
				       o->follow);
		o->follow_forks |= all || fork;
		o->follow_programs |= !fork;
	}
	return 0;
}

/* ---- the whole line ------------------------------------------------------------ */

int options_parse(int argc, char **argv, struct options *ret, struct err *err)
{
	int words, rc;

	*ret = (struct options){
		.engine = CAPTURE_AUTO,
		.depth = 64,
		.count = 10,
		.record_every = 1,
		.history = 2 << 20,
	};
	rc = option_table_read(&table, argc, argv, ret, &words, err);
	if (!rc && words < argc)
		ret->program = argv + words;
	if (rc || ret->help || ret->version || ret->dump)
		return rc;
	ret->output_each = series_has_pid(ret->output);
	rc = take_children(ret, err);
	if (!rc)
		rc = take_group(ret, err);
	for (size_t i = 0; i < ret->processes.len && !rc; i++)
		rc = process_name_find(ret->processes.at[i], &ret->pids, err);
	if (ret->pids.len)
		ret->pid = ret->pids.at[0];
	if (!rc)
		rc = sort_failures(ret, err);
	if (!rc)
		wrapper_look_behind(ret);
	rc = rc ? rc : check(ret, err);
	if (ret->stay && (is_trap(ret) || !ret->has_engine)) /* it takes one */
		ret->engine = CAPTURE_AGENT;
	if (is_sampled(ret) && !ret->has_engine) /* so does that, or it would cost more than all */
		ret->engine = CAPTURE_AGENT;
	if (ret->clear)
		ret->no_symbols = ret->batch = true;
	return rc;
}

void options_deinit(struct options *options)
{
	vec_deinit(&options->processes);
	vec_deinit(&options->pids);
	free(options->group);
	vec_deinit(&options->commands);
	vec_deinit(&options->debug_dirs);
	vec_deinit(&options->failures);
	vec_deinit(&options->suppressions);
}

/* ---- --help ---------------------------------------------------------------------- */

void options_help(FILE *out)
{
	fputs("Usage: memtrace [OPTION]... -p PID|NAME [-p PID|NAME]...\n"
	      "       memtrace [OPTION]... PROGRAM [ARG]...\n"
	      "\n"
	      "Finds memory leaks: follows every allocation of a running process, or of a\n"
	      "program it starts, with its call stack, and reports what was not freed.\n"
	      "\n",
	      out);
	option_table_help(&table, out);
	fputs("\n"
	      "With -p, console commands are read from stdin: 'help' lists them.  'quit', the\n"
	      "end of input, or Ctrl-C twice detach and print the report.  With PROGRAM,\n"
	      "memtrace's words go to stderr.\n"
	      "\n"
	      "Formats: text (default), json, snapshot (for memtrace-fs --report), and of\n"
	      "viewers: folded, pprof, speedscope, heaptrack, dhat, massif, gperftools; html\n"
	      "is a page for a browser.\n"
	      "\n"
	      "Exit status: 1 when memtrace itself failed; else, with PROGRAM, that of the\n"
	      "program (128 + signal when it was killed) if it is not 0; else N of\n"
	      "--error-exitcode (2 with --fail-on alone) when blocks are in use, or --fail-on\n"
	      "applies; else 0.\n",
	      out);
}

void options_dump(FILE *out)
{
	option_table_dump(&table, out);
}
