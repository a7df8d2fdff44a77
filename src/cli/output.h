/*
 * Where memtrace's words go.  What was asked for (reports, answers of the console)
 * goes to `out`: stdout with -p, stderr with PROGRAM, whose stdout is its own.  What
 * memtrace says of itself goes to stderr always, so that `memtrace --format=json -p
 * 1 | jq` works.  Both pass by the prompt without damaging it.
 */
#ifndef MEMTRACE_OUTPUT_H
#define MEMTRACE_OUTPUT_H

#include <stdio.h>

#include "base/types.h"
#include "cli/console.h"

struct output {
	FILE *out;
	bool quiet;
	struct console *console; /* whose prompt is to be spared; may be NULL */
	bool progress_shown;
	FILE *held; /* where they wait meanwhile, or NULL */
	char *held_text;
	size_t held_len;
};

/* Also gives stderr a buffer: a report is thousands of small writes. */
void output_init(struct output *output, FILE *out, bool quiet);

/* Whether the locale's characters are UTF-8 (POSIX.1-2017, 8.2: LC_ALL, LC_CTYPE, LANG). */
bool output_is_utf8(void);

/* A remark; not with --quiet. */
void output_log(struct output *output, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "memtrace: ...": something is wrong. */
void output_warn(struct output *output, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Somebody else has the terminal: what is said waits until he has gone. */
void output_hold(struct output *output);
void output_release(struct output *output);

/* Around what is written to output->out. */
void output_begin(struct output *output);
void output_end(struct output *output);

/* On a terminal, a line that says how far something is; the next words, or 0 of 0,
 * take it away.  `arg` is the struct output: these fit report_options.progress and
 * resolver_options.progress. */
void output_progress(void *arg, const char *what, size_t done, size_t count);
void output_wait(void *arg, const char *text);

#endif
