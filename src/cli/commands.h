/*
 * The console's commands, as values: a line in, what it asks for out.  One table
 * (commands.c) gives the names, `help`, and what TAB completes; who carries a call
 * out is session.c.
 */
#ifndef MEMTRACE_COMMANDS_H
#define MEMTRACE_COMMANDS_H

#include <stdio.h>

#include "base/err.h"
#include "base/types.h"
#include "report/report.h"

enum command_id {
	COMMAND_NONE, /* an empty line, or a comment (#) */
	COMMAND_HELP,
	COMMAND_STATUS,
	COMMAND_REPORT,
	COMMAND_MONITOR,
	COMMAND_CLEAR,
	COMMAND_MODULES,
	COMMAND_THREADS,
	COMMAND_QUIT,
};

enum monitor_wish { MONITOR_TOGGLE, MONITOR_EVERY, MONITOR_STOP };

enum { MONITOR_DEFAULT_MS = 3000, MONITOR_MIN_MS = 100 };

struct command_call {
	enum command_id id;
	enum command_id about;	      /* help: of this command; COMMAND_NONE: of all */
	struct report_options report; /* report: the given defaults, changed by its options */
	enum monitor_wish monitor;
	uint64_t monitor_ms; /* MONITOR_EVERY */
};

/*
 * Understands one line.  Names may be cut short while they stay unique.  `defaults`
 * are the report's options where the line says nothing.  -EINVAL, -ERANGE with one
 * line in *err.
 */
int commands_parse(const char *line, const struct report_options *defaults,
		   struct command_call *ret, struct err *err);

/* `help`, and `help COMMAND`. */
void commands_help(enum command_id about, FILE *out);

/*
 * The i-th completion (0..) of the word that begins at line[start] and is
 * line[start..start+len): a command's name at the start of the line, else what that
 * command takes.  NULL: there are no more.
 */
const char *commands_complete(const char *line, size_t start, size_t len, size_t i);

#endif
