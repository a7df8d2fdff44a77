/*
 * The command line of memtrace.  One table (options.c) is the parser, --help, and
 * what the man page and the completions are checked against.
 */
#ifndef MEMTRACE_OPTIONS_H
#define MEMTRACE_OPTIONS_H

#include <stdio.h>
#include <sys/types.h>

#include "base/option_table.h"
#include "tracer/status.h"
#include "tracer/tracee.h"

struct session_result;
struct heirs_room;

struct options {
	/* what to do */
	bool help, version, doctor, selftest;
	bool dump;	    /* hidden: the table itself, for tests */
	const char *action; /* of --selftest */

	/* which process */
	struct option_list processes; /* as they were given */
	const char *cgroup, *unit;    /* or NULL */
	char *group;		      /* the directory of that; NULL: none was given */
	struct tid_list pids;	      /* what that is */
	pid_t pid;	/* the first of them, or the one that this session follows; 0: PROGRAM */
	char **program; /* argv of PROGRAM, NULL-terminated; NULL with pid */

	/* the session */
	struct option_list commands; /* -x, in order */
	bool batch, interactive;
	uint64_t duration_ms; /* 0: no limit */
	bool verbose, quiet;
	unsigned error_exitcode;
	bool has_error_exitcode;

	/* capture */
	unsigned depth;
	uint64_t min_size, sample; /* bytes; 0: every allocation counts */
	unsigned max_overhead;	   /* percent; 0: no limit */
	bool has_engine;
	unsigned engine; /* enum capture_engine; beyond: the old word for CAPTURE_TRAP */
	const char *record, *record_case;
	unsigned record_every;
	bool mappings;
	bool stay, clear;
	const char *follow; /* who of its children is followed, too: words with commas between them; NULL */
	bool follow_given;
	bool follow_forks;    /* .. those by fork() */
	bool follow_behind;   /* not given, and PROGRAM is a wrapper: the first program that it starts, instead */
	bool follow_programs; /* .. those that begin a program of these names, "exec" and "all" for any */

	/* report */
	const char *output; /* NULL: stdout, or stderr with PROGRAM */
	bool output_each;   /* .. is a pattern with %p: a file for each process; one with every_ms, too */
	uint64_t every_ms;  /* 0: the final report alone */
	unsigned keep;	    /* so many files of every_ms */
	unsigned format;    /* enum report_format */
	unsigned count;	    /* 0: all */
	unsigned sort;	    /* enum snapshot_order */
	bool all, no_command, no_lines;

	/* of one of several (several.h) */
	struct session_result *result; /* NULL: it is the only one */
	struct launch_files files;     /* PROGRAM's */
	int born;		       /* its process waits for it: the file of heirs.h; 0: it does not */
	int heirs;		       /* where children go; 0: they are not followed */
	struct heirs_room *heirs_room;

	/* looks for leaks */
	bool leaks;
	uint64_t confirm_ms;   /* 0: one look */
	uint64_t max_pause_ms; /* 0: not given */
	uint64_t min_age_ms;
	uint64_t mark_every_ms; /* 0: none */
	uint64_t history;      /* bytes, of the course */
	uint64_t memory;       /* bytes; 0: no limit */
	unsigned fail_on;      /* enum fail_on */
	struct option_list failures; /* .. as given; then those that are expressions */
	struct option_list suppressions; /* files: what of these does not count */
	const char *baseline; /* a file: only what is new or has grown since does; or NULL */

	/* names */
	struct option_list debug_dirs;
	bool no_symbols, debuginfod;
	const char *connect, *listen; /* HOST[:PORT] of memtrace-fs, or NULL */
	bool autoconnect;	      /* search the network for one */
};

enum { OPTIONS_MAX_DEPTH = 512 };
enum fail_on { FAIL_ON_USED, FAIL_ON_LOST, FAIL_ON_EXPRESSIONS };
enum { OPTIONS_FAILED = 2 }; /* the status of --fail-on, without --error-exitcode */

/* --leaks -p PID, and nothing else to do: a look, and off, with no allocation followed. */
static inline bool options_look_only(const struct options *o)
{
	return o->leaks && o->pid && !o->mappings && !o->duration_ms && !o->every_ms && !o->interactive &&
	       !o->commands.len;
}

/* Several processes, or one that may become several: several.h. */
static inline bool options_several(const struct options *o)
{
	return o->pids.len > 1 || o->follow || o->group;
}

/*
 * Fills *ret from argv; everything from the first word that is no option on is
 * PROGRAM's.  Strings point into argv.  Allocates nothing but the lists (-x,
 * --debug-dir): --selftest --action depends on it.  -EINVAL, -ERANGE, -ENOTDIR with
 * one line in *err.  options_deinit() is due in any case.
 */
int options_parse(int argc, char **argv, struct options *ret, struct err *err) MUST_CHECK;
void options_deinit(struct options *options);

/* --help. */
void options_help(FILE *out);

/* See option_table_dump(). */
void options_dump(FILE *out);

#endif
