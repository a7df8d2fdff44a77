/*
 * The console's input.  Two ways to get a line:
 *
 *   edited  stdin is a terminal that can move its cursor, and libedit is there:
 *           its callback interface, one character at a time, so that poll() stays
 *           in charge;
 *   plain   everything else: read() into a buffer, cut at newlines.  A terminal
 *           gets a prompt, a pipe does not.
 *
 * A background job that reads its terminal is stopped by SIGTTIN, and a stopped
 * memtrace is a stopped tracee: in the background stdin is left alone until a
 * SIGCONT says that this may have changed.
 */
#include "cli/console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/editing.h"

#define PROMPT "memtrace> "

enum { MAX_INPUT = 4096 };

struct console {
	struct console_user user;
	FILE *out;
	bool terminal;	 /* stdin is one */
	bool edited;	 /* by libedit */
	bool foreground; /* the terminal is ours now */
	bool ended;	 /* no more input */
	bool prompted;	 /* a prompt is on the screen */
	bool overlong;	 /* plain: the rest of this line is dropped */
	size_t len;	 /* plain: what was read of the next line */
	char input[MAX_INPUT];
};

static void end(struct console *console)
{
	if (console->ended)
		return;
	console->ended = true;
	console->user.end(console->user.arg);
}

/* ---- lines ------------------------------------------------------------------------- */

static void prompt(struct console *console)
{
	if (!console->terminal || console->ended || !console->foreground)
		return;
	if (console->edited)
		editing_prompt(PROMPT);
	else
		fputs(PROMPT, console->out);
	fflush(console->out);
	console->prompted = true;
}

static void take_line(struct console *console, const char *line)
{
	console->prompted = false;
	console->user.line(console->user.arg, line);
	prompt(console);
}

static void edited_line(void *arg, const char *line)
{
	struct console *console = arg;

	if (line) {
		take_line(console, line);
	} else {
		console->prompted = false;
		end(console);
	}
}

/* Hands out the first len bytes of the buffer as a line, and drops them and `cut`
 * bytes behind them.  What follows an overlong line up to its newline is no line. */
static void plain_line(struct console *console, size_t len, size_t cut)
{
	char line[MAX_INPUT + 1];
	bool rest = console->overlong;

	memcpy(line, console->input, len);
	line[len] = '\0';
	console->len -= len + cut;
	memmove(console->input, console->input + len + cut, console->len);
	console->overlong = len == MAX_INPUT;
	if (!rest)
		take_line(console, line);
}

static void plain_read(struct console *console)
{
	ssize_t got =
		read(STDIN_FILENO, console->input + console->len, MAX_INPUT - console->len);
	char *newline;

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	console->len += got > 0 ? (size_t)got : 0;
	while (!console->ended && (newline = memchr(console->input, '\n', console->len)))
		plain_line(console, (size_t)(newline - console->input), 1);
	if (!console->ended && console->len == MAX_INPUT)
		plain_line(console, MAX_INPUT, 0);
	if (got > 0 || console->ended)
		return;
	if (console->len)
		plain_line(console, console->len, 0);
	if (console->terminal)
		fputc('\n', console->out);
	end(console);
}

/* ---- both ---------------------------------------------------------------------------- */

static bool is_foreground(const struct console *console)
{
	/* A terminal that is not our controlling one has no foreground job of ours
	 * and stops nobody. */
	pid_t job = console->terminal ? tcgetpgrp(STDIN_FILENO) : -1;

	return job == -1 || job == getpgrp();
}

int console_create(const struct console_user *user, FILE *out, struct console **ret,
		   struct err *err)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console)
		return err_sys(err, -ENOMEM, "console");
	console->user = *user;
	console->out = out;
	console->terminal = isatty(STDIN_FILENO);
	console->foreground = is_foreground(console);
	console->edited = editing_start(out, edited_line, console);
	prompt(console);
	*ret = console;
	return 0;
}

void console_destroy(struct console *console)
{
	if (!console)
		return;
	console_stop(console);
	free(console);
}

int console_fd(const struct console *console)
{
	return console->ended || !console->foreground ? -1 : STDIN_FILENO;
}

void console_read(struct console *console, bool hangup)
{
	console->foreground = is_foreground(console);
	if (!console->foreground || console->ended)
		return;
	if (!console->edited)
		plain_read(console);
	else if (hangup)
		end(console); /* libedit would say nothing */
	else
		editing_read();
}

void console_stop(struct console *console)
{
	console_hide(console);
	console->ended = true;
	if (console->edited && console->prompted)
		editing_drop();
	console->edited = false;
	console->prompted = false;
}

void console_resume(struct console *console)
{
	console->foreground = is_foreground(console);
	if (console->prompted)
		console_show(console);
	else
		prompt(console);
}

void console_resize(struct console *console)
{
	if (console->edited && console->prompted)
		editing_resize();
}

void console_hide(struct console *console)
{
	if (!console || !console->prompted || !console->foreground)
		return;
	fputs(console->edited ? "\r\033[K" : "\n", console->out);
	fflush(console->out);
}

void console_show(struct console *console)
{
	if (!console || !console->prompted || !console->foreground)
		return;
	if (console->edited) {
		editing_show();
	} else {
		fputs(PROMPT, console->out);
		fflush(console->out);
	}
}
