/*
 * The arguments of the console's commands, for the table in commands.c.  Each function has the
 * words behind the command's name (NULL-terminated), and how the command is used, for what it
 * says of a mistake; it fills in what `call` has of them.  0, or -EINVAL, -ERANGE with one line
 * in *err.
 */
#ifndef MEMTRACE_ARGUMENTS_H
#define MEMTRACE_ARGUMENTS_H

#include "cli/commands.h"

typedef int arguments_reader(const char *const *args, const char *usage,
			     struct command_call *call, struct err *err);

arguments_reader arguments_read_none;	 /* a command that takes nothing */
arguments_reader arguments_read_report;	 /* -n, --sort, --all, --json, --in ..., a context */
arguments_reader arguments_read_tree;	 /* -n, --callers, --in, --not, a name */
arguments_reader arguments_read_save;	 /* FILE */
arguments_reader arguments_read_export;	 /* FORMAT FILE */
arguments_reader arguments_read_monitor; /* SECONDS, or stop */
arguments_reader arguments_read_wait;	 /* TIME */
arguments_reader arguments_read_history; /* -n, a context */
arguments_reader arguments_read_top;	 /* -n, --sort, --in, --not, SECONDS */
arguments_reader arguments_read_mark;	 /* a mark's name */
arguments_reader arguments_read_diff;	 /* -n, --all, --in, --not, two marks */
arguments_reader arguments_read_leaks;	 /* -n, --json, --confirm */
arguments_reader arguments_read_heap;	 /* -n */
arguments_reader arguments_read_process; /* a process, or all */
arguments_reader arguments_read_address; /* an address, or, of why, a context */

#endif
