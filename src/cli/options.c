/*
 * The command line.  Each option is a row: how it is called, what it takes, where
 * its value goes, and what --help says.  getopt_long() does the cutting ("+": it
 * stops at PROGRAM; ":": the messages are ours), the row's kind does the reading,
 * and check_*() refuse what contradicts.
 */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/quantity.h"
#include "heap/snapshot.h"
#include "report/report.h"

enum kind {
	KIND_FLAG,   /* bool */
	KIND_NUMBER, /* unsigned within min..max */
	KIND_CHOICE, /* unsigned: the index in choices */
	KIND_TIME,   /* uint64_t, milliseconds */
	KIND_TEXT,   /* const char *, not empty */
	KIND_LIST,   /* VEC(const char *), repeatable */
};

struct option_row {
	char letter; /* 0: long only */
	const char *name;
	const char *arg; /* what --help calls the argument; NULL: none */
	const char *help;
	enum kind kind;
	size_t field;
	uint64_t min, max;
	const char *const *choices;
	bool hidden;
};

static const char *const formats[] = {[REPORT_TEXT] = "text", [REPORT_JSON] = "json", NULL};
static const char *const orders[] = {[SNAPSHOT_BY_BYTES] = "bytes",
				     [SNAPSHOT_BY_BLOCKS] = "blocks",
				     [SNAPSHOT_BY_ALLOCS] = "allocs",
				     NULL};
static const char *const engines[] = {"breakpoint", NULL};

#define AT(member) offsetof(struct options, member)
/* the largest process number a kernel gives: PID_MAX_LIMIT, linux/threads.h */
enum { MAX_PID = 4194304 };

static const struct option_row rows[] = {
	{'p', "pid", "PID", "attach to a running process", .kind = KIND_NUMBER,
	 .field = AT(pid), .min = 1, .max = MAX_PID},
	{'x', "command", "CMD", "run a console command once attached (repeatable)",
	 .kind = KIND_LIST, .field = AT(commands)},
	{'b', "batch", NULL, "no console: run the -x commands, then detach", .kind = KIND_FLAG,
	 .field = AT(batch)},
	{'d', "duration", "TIME", "detach after TIME (500ms, 10s, 5m, 2h)", .kind = KIND_TIME,
	 .field = AT(duration_ms), .min = 1},
	{'i', "interactive", NULL, "console with a PROGRAM too (its stdin is /dev/null)",
	 .kind = KIND_FLAG, .field = AT(interactive)},
	{'o', "output", "FILE", "write the final report to FILE", .kind = KIND_TEXT,
	 .field = AT(output)},
	{0, "format", "FORMAT", "of the final report: text (default) or json",
	 .kind = KIND_CHOICE, .field = AT(format), .choices = formats},
	{'n', "count", "N", "contexts in a report (default 10, 0 = all)", .kind = KIND_NUMBER,
	 .field = AT(count), .max = UINT_MAX},
	{'s', "stack-depth", "N", "frames kept per stack (default 64, maximum 512)",
	 .kind = KIND_NUMBER, .field = AT(depth), .min = 1, .max = OPTIONS_MAX_DEPTH},
	{0, "sort", "KEY", "order of contexts: bytes (default), blocks or allocs",
	 .kind = KIND_CHOICE, .field = AT(sort), .choices = orders},
	{0, "all", NULL, "also contexts with nothing in use any more", .kind = KIND_FLAG,
	 .field = AT(all)},
	{0, "engine", "ENGINE", "how calls are captured: breakpoint", .kind = KIND_CHOICE,
	 .field = AT(engine), .choices = engines},
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

enum { ROW_COUNT = ARRAY_SIZE(rows), ROW_CODE = 256 /* getopt's value of row 0 */ };

/* ---- one value -------------------------------------------------------------- */

static int take_choice(const struct option_row *row, const char *name, const char *value,
		       unsigned *field, struct err *err)
{
	char list[80] = "";

	for (unsigned i = 0; row->choices[i]; i++) {
		if (!strcmp(value, row->choices[i])) {
			*field = i;
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 i ? ", " : "", row->choices[i]);
	}
	return err_set(err, -EINVAL, "%s: '%s' is not one of: %s", name, value, list);
}

static int take_list(const char *value, void *field)
{
	VEC(const char *) *list = field;

	if (!vec_reserve(list, list->len + 2))
		return -ENOMEM;
	list->at[list->len++] = value;
	list->at[list->len] = NULL;
	return 0;
}

static int take(const struct option_row *row, const char *value, struct options *options,
		struct err *err)
{
	void *field = (char *)options + row->field;
	char name[40];
	uint64_t number;
	int rc = 0;

	snprintf(name, sizeof(name), "--%s", row->name);
	if (value && !*value)
		return err_set(err, -EINVAL, "%s: the %s is empty", name, row->arg);
	switch (row->kind) {
	case KIND_FLAG:
		*(bool *)field = true;
		break;
	case KIND_NUMBER:
		rc = quantity_number(value, name, row->min, row->max, &number, err);
		if (!rc)
			*(unsigned *)field = (unsigned)number;
		break;
	case KIND_TIME:
		rc = quantity_time(value, name, row->min, field, err);
		break;
	case KIND_CHOICE:
		rc = take_choice(row, name, value, field, err);
		break;
	case KIND_TEXT:
		*(const char **)field = value;
		break;
	case KIND_LIST:
		rc = take_list(value, field);
		if (rc)
			err_sys(err, rc, "%s", name);
		break;
	}
	return rc;
}

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
			"one process at a time, not %d and %s (pidof gives every process of "
			"a name, pidof -s one)",
			o->pid, o->program[0]);
	if (o->pid && o->program)
		return err_set(err, -EINVAL,
			       "--pid and a PROGRAM ('%s') contradict each other: give one",
			       o->program[0]);
	if (!o->pid && !o->program)
		return err_set(err, -EINVAL, "neither --pid nor a PROGRAM is given" HINT);
	if (o->program && !*o->program[0])
		return err_set(err, -EINVAL, "the name of the PROGRAM is empty");
	if (o->pid == getpid())
		return err_set(err, -EINVAL, "memtrace can't attach to itself (pid %d)",
			       o->pid);
	return 0;
}

/* Names from another machine. */
static bool remote(const struct options *o)
{
	return o->connect || o->listen || o->autoconnect;
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
		{o->selftest && o->pid, "--selftest", "--pid", "memtrace tests itself alone"},
		{o->selftest && o->program, "--selftest", "a PROGRAM",
		 "memtrace tests itself alone"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (pairs[i].both)
			return err_set(err, -EINVAL, "%s and %s contradict each other: %s",
				       pairs[i].one, pairs[i].other, pairs[i].why);
	if (o->action && !o->selftest)
		return err_set(err, -EINVAL, "--action belongs to --selftest" HINT);
	return 0;
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

static int check(const struct options *o, struct err *err)
{
	int rc = check_pairs(o, err);

	if (!rc)
		rc = check_debug_dirs(o, err);
	if (!rc && !o->selftest && !o->doctor)
		rc = check_target(o, err);
	return rc;
}

/* ---- the whole line ------------------------------------------------------------ */

/* getopt's two forms of the table. */
static void fill_getopt(char *letters, struct option *longs)
{
	*letters++ = '+';
	*letters++ = ':';
	for (int i = 0; i < ROW_COUNT; i++) {
		longs[i] = (struct option){rows[i].name,
					   rows[i].arg ? required_argument : no_argument, NULL,
					   ROW_CODE + i};
		if (!rows[i].letter)
			continue;
		*letters++ = rows[i].letter;
		if (rows[i].arg)
			*letters++ = ':';
	}
	*letters = '\0';
	longs[ROW_COUNT] = (struct option){0};
}

static const struct option_row *row_of(int code)
{
	if (code >= ROW_CODE && code < ROW_CODE + ROW_COUNT)
		return &rows[code - ROW_CODE];
	for (int i = 0; i < ROW_COUNT; i++)
		if (rows[i].letter && rows[i].letter == code)
			return &rows[i];
	return NULL;
}

/* What getopt could not take, in words.  `word` is the argument it stands at. */
static int refuse(int code, const char *word, struct err *err)
{
	const struct option_row *row = row_of(optopt);

	if (code == ':')
		return err_set(err, -EINVAL, "--%s needs its %s" HINT, row->name, row->arg);
	if (row && optopt >= ROW_CODE)
		return err_set(err, -EINVAL, "--%s takes no value" HINT, row->name);
	if (optopt)
		return err_set(err, -EINVAL, "unknown option '-%c'" HINT, optopt);
	return err_set(err, -EINVAL, "unknown or ambiguous option '%s'" HINT, word);
}

static int parse(int argc, char **argv, struct options *o, struct err *err)
{
	struct option longs[ROW_COUNT + 1];
	char letters[2 * ROW_COUNT + 3];
	int code;

	fill_getopt(letters, longs);
	optind = 0; /* GNU: begin anew, also in a second call */
	opterr = 0;
	while ((code = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct option_row *row = code == '?' || code == ':' ? NULL : row_of(code);
		int rc;

		if (!row)
			return refuse(code, argv[optind - 1], err);
		if (row->field == AT(pid) && o->pid)
			return err_set(err, -EINVAL,
				       "--pid is given twice: one process at a time");
		rc = take(row, optarg, o, err);
		if (rc)
			return rc;
		if (row->field == AT(error_exitcode))
			o->has_error_exitcode = true;
		if (row->field == AT(quiet)) /* the last of the two counts */
			o->verbose = false;
		if (row->field == AT(verbose))
			o->quiet = false;
	}
	if (optind < argc)
		o->program = argv + optind;
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret, struct err *err)
{
	int rc;

	*ret = (struct options){
		.depth = 64,
		.count = 10,
		.record_every = 1,
	};
	rc = parse(argc, argv, ret, err);
	if (rc || ret->help || ret->version || ret->dump)
		return rc;
	return check(ret, err);
}

void options_deinit(struct options *options)
{
	vec_deinit(&options->commands);
	vec_deinit(&options->debug_dirs);
}

/* ---- --help ---------------------------------------------------------------------- */

void options_help(FILE *out)
{
	fputs("Usage: memtrace [OPTION]... -p PID\n"
	      "       memtrace [OPTION]... PROGRAM [ARG]...\n"
	      "\n"
	      "Finds memory leaks: follows every allocation of a running process, or of a\n"
	      "program it starts, with its call stack, and reports what was not freed.\n"
	      "\n",
	      out);
	for (int i = 0; i < ROW_COUNT; i++) {
		char name[40];

		if (rows[i].hidden)
			continue;
		snprintf(name, sizeof(name), "%c%c%c --%s%s%s", rows[i].letter ? '-' : ' ',
			 rows[i].letter ? rows[i].letter : ' ', rows[i].letter ? ',' : ' ',
			 rows[i].name, rows[i].arg ? "=" : "", rows[i].arg ? rows[i].arg : "");
		fprintf(out, "  %-24s %s\n", name, rows[i].help);
	}
	fputs("\n"
	      "With -p, console commands are read from stdin: 'help' lists them.  'quit', the\n"
	      "end of input, or Ctrl-C twice detach and print the report.  With PROGRAM,\n"
	      "memtrace's words go to stderr.\n"
	      "\n"
	      "Exit status: 1 when memtrace itself failed; else, with PROGRAM, that of the\n"
	      "program (128 + signal when it was killed) if it is not 0; else N of\n"
	      "--error-exitcode when blocks are in use; else 0.\n",
	      out);
}

void options_dump(FILE *out)
{
	for (int i = 0; i < ROW_COUNT; i++) {
		char letter[] = {'-', rows[i].letter, '\0'};

		if (!rows[i].hidden)
			fprintf(out, "%s\t--%s\t%s\t%s\n", letter, rows[i].name,
				rows[i].arg ? rows[i].arg : "-", rows[i].help);
	}
}
