/*
 * Where memtrace's words go.  What was asked for (reports, answers of the console)
 * goes to `out`: stdout with -p, stderr with PROGRAM, whose stdout is its own.  What
 * memtrace says of itself goes to stderr always, so that `memtrace --format=json -p
 * 1 | jq` works.  Both pass by the prompt without damaging it.
 */
#ifndef MEMTRACE_WORDS_H
#define MEMTRACE_WORDS_H

#include <stdio.h>

#include "base/types.h"
#include "cli/console.h"

struct words {
	FILE *out;
	bool quiet;
	struct console *console; /* whose prompt is to be spared; may be NULL */
	bool progress_shown;
	FILE *held; /* where they wait meanwhile, or NULL */
	char *held_text;
	size_t held_len;
};

/* Also gives stderr a buffer: a report is thousands of small writes. */
void words_init(struct words *words, FILE *out, bool quiet);

/* A remark; not with --quiet. */
void words_say(struct words *words, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "memtrace: ...": something is wrong. */
void words_warn(struct words *words, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Somebody else has the terminal: what is said waits until he has gone. */
void words_hold(struct words *words);
void words_release(struct words *words);

/* Around what is written to words->out. */
void words_begin(struct words *words);
void words_end(struct words *words);

/* On a terminal, a line that says how far something is; the next words, or 0 of 0,
 * take it away.  `arg` is the struct words: these fit report_options.progress and
 * resolver_options.say. */
void words_progress(void *arg, const char *what, size_t done, size_t count);
void words_wait(void *arg, const char *text);

#endif
