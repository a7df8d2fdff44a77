/*
 * The console's input: whole lines from a terminal, with editing, history and
 * completion where libedit is there, or from a pipe or file, plain.  Never blocks:
 * the session polls console_fd() and calls console_read(), which lets it go on where
 * it has to wait for the rest of a key.
 *
 * Words that come while a line is being typed go between console_hide() and
 * console_show(): the half-typed line is taken off the screen and put back.
 */
#ifndef MEMTRACE_CONSOLE_H
#define MEMTRACE_CONSOLE_H

#include <stdio.h>

#include "base/err.h"
#include "base/types.h"

struct console;

struct console_user {
	void (*line)(void *arg, const char *line); /* without its newline */
	void (*end)(void *arg);			   /* end of input; called once */
	/* In the middle of a key: does what there is to do until console_fd() is readable,
	 * without console_read().  May call console_stop(). */
	void (*wait)(void *arg);
	void *arg;
};

/* Reads stdin, prompts and echoes on `out` (a terminal's prompt only).  One console
 * at a time (libedit's state is global). */
int console_create(const struct console_user *user, FILE *out, struct console **ret,
		   struct err *err) MUST_CHECK;
/* Puts the terminal back as it was.  NULL is allowed. */
void console_destroy(struct console *console);

/* Readable: console_read() has work.  -1: nothing to wait for (the input has ended,
 * or we are a background job of the terminal: see console_resume()). */
int console_fd(const struct console *console);

/* Takes what is there; calls user->line for each whole line, until console_stop().
 * hangup: poll() said so; a terminal that has gone is an end of input. */
void console_read(struct console *console, bool hangup);

/* No more lines are wanted; what was read ahead is dropped. */
void console_stop(struct console *console);

/* A key that is there now, which is then part of no line; -1: there is none; -2: nor will there
 * be. */
int console_key(struct console *console);

/* A terminal, where somebody types. */
bool console_is_interactive(const struct console *console);
/* Throws a half-typed line away, and prompts anew.  False: there was none. */
bool console_cancel(struct console *console);

/* After SIGCONT: looks again whether the terminal is ours. */
void console_resume(struct console *console);

/* After SIGWINCH. */
void console_resize(struct console *console);

void console_hide(struct console *console); /* NULL is allowed in both */
void console_show(struct console *console);

#endif
