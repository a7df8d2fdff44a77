/*
 * The console's commands, as values: a line in, what it asks for out.  One table
 * (commands.c) gives the names, `help`, and what TAB completes; who carries a call
 * out is session.c.
 */
#ifndef MEMTRACE_COMMANDS_H
#define MEMTRACE_COMMANDS_H

#include <stdio.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/types.h"
#include "report/report.h"
#include "report/top.h"

enum command_id {
	COMMAND_NONE, /* an empty line, or a comment (#) */
	COMMAND_HELP,
	COMMAND_STATUS,
	COMMAND_REPORT,
	COMMAND_TREE,
	COMMAND_SAVE,
	COMMAND_EXPORT,
	COMMAND_MONITOR,
	COMMAND_CLEAR,
	COMMAND_MODULES,
	COMMAND_THREADS,
	COMMAND_WAIT,
	COMMAND_HISTORY,
	COMMAND_TOP,
	COMMAND_MARK,
	COMMAND_MARKS,
	COMMAND_DIFF,
	COMMAND_LEAKS,
	COMMAND_WHY,
	COMMAND_WHO,
	COMMAND_BLOCK,
	COMMAND_HEAP,
	COMMAND_PROCESSES,
	COMMAND_PROCESS,
	COMMAND_LEAVE,
	COMMAND_QUIT,
	COMMAND_SHELL, /* "!COMMAND" */
};

/* Where a command's answer goes, by what comes behind it. */
enum command_output {
	COMMAND_TO_CONSOLE,
	COMMAND_TO_FILE,  /* "> FILE" */
	COMMAND_TO_SHELL, /* "| COMMAND" */
};

enum { COMMANDS_MAX_LINE = 512, COMMANDS_MAX_NAME = 160 };

enum monitor_action { MONITOR_TOGGLE, MONITOR_EVERY, MONITOR_STOP };

enum { MONITOR_DEFAULT_MS = 3000, MONITOR_MIN_MS = 100 };
enum { TOP_DEFAULT_MS = 2000, TOP_MIN_MS = 100 };

struct command_call {
	enum command_id id;
	const char *about;	      /* help: of this command; NULL: of all */
	struct report_options report; /* report: the given defaults, changed by its options */
	enum monitor_action monitor;
	uint64_t monitor_ms; /* MONITOR_EVERY */
	uint64_t wait_ms;    /* wait */
	enum top_key top_key;
	uint64_t top_ms;     /* top */
	uint64_t confirm_ms; /* leaks: a second look so much later; 0: none */
	char mark[2][MARK_NAME_SIZE]; /* mark, diff: names, or "" */
	size_t marks;		      /* diff: how many were named */
	/* report, diff, tree, top: names, which report is to point to; or "" */
	char in[COMMANDS_MAX_NAME], not_in[COMMANDS_MAX_NAME], from[COMMANDS_MAX_NAME];
	pid_t process;	     /* process; 0: all */
	taddr_t address;     /* why, who, block; or, of why, report.context */
	enum command_output output;
	/* of output, save, export: the file, or the command; and "!COMMAND" */
	char target[COMMANDS_MAX_LINE];
};

/*
 * Understands one line.  Names may be cut short while they stay unique.  `defaults`
 * are the report's options where the line says nothing.  -EINVAL, -ERANGE with one
 * line in *err.
 */
int commands_parse(const char *line, const struct report_options *defaults,
		   struct command_call *ret, struct err *err) MUST_CHECK;

/* `help`, and `help COMMAND` (a command's whole name). */
void commands_help(const char *about, FILE *out);

/*
 * The i-th completion (0..) of the word that begins at line[start] and is
 * line[start..start+len): a command's name at the start of the line, else what that
 * command takes.  NULL: there are no more.
 */
const char *commands_complete(const char *line, size_t start, size_t len, size_t i);

#endif
