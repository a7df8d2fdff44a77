/*
 * The console's input.  Two ways to get a line:
 *
 *   edited  stdin is a terminal that can move its cursor, and libedit is there:
 *           its callback interface, one character at a time, so that poll() stays
 *           in charge;
 *   plain   everything else: read() into a buffer, cut at newlines.  A terminal
 *           gets a prompt, a pipe does not.
 *
 * A terminal's input can be gone between poll() and read(): Ctrl-C drops it.  Since
 * signals are blocked (signals.c) nothing would end such a read(), so the terminal is
 * opened a second time, not to block; stdin itself is shared with other programs.
 *
 * A background job that reads its terminal is stopped by SIGTTIN, and a stopped
 * memtrace is a stopped tracee: in the background stdin is left alone until a
 * SIGCONT says that this may have changed.
 */
#include "cli/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/editing.h"

#define PROMPT "memtrace> "

enum { MAX_INPUT = 4096 };

struct console {
	struct console_user user;
	FILE *out;
	int in;		 /* what is read: stdin, or its terminal opened anew */
	bool terminal;	 /* stdin is one */
	bool edited;	 /* by libedit */
	bool foreground; /* the terminal is ours now */
	bool ended;	 /* no more input */
	bool prompted;	 /* a prompt is on the screen */
	bool typed;	 /* edited: something was, behind the prompt */
	bool cancelled;	 /* edited: .. and is to be thrown away, in the middle of a key */
	bool overlong;	 /* plain: the rest of this line is dropped */
	size_t len;	 /* plain: what was read of the next line */
	char input[MAX_INPUT];
};

static bool is_foreground(const struct console *console)
{
	/* A terminal that is not our controlling one has no foreground job of ours
	 * and stops nobody. */
	pid_t job = console->terminal ? tcgetpgrp(STDIN_FILENO) : -1;

	return job == -1 || job == getpgrp();
}

/* What to read stdin from; see above.  Where the terminal can't be opened (it is another
 * user's, since `su`) a Ctrl-C in the wrong moment takes effect with the next key. */
static int open_input(bool terminal)
{
	int in = terminal
			 ? open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
			 : -1;

	return in < 0 ? STDIN_FILENO : in;
}

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
	console->typed = false;
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
		read(console->in, console->input + console->len, MAX_INPUT - console->len);
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

/* Of a key that is more than one byte the rest may come late, or never. */
static int edited_key(void *arg)
{
	struct console *console = arg;
	unsigned char key;
	ssize_t got = 0;

	while (!console->ended && !console->cancelled) {
		if (console->foreground)
			got = read(console->in, &key, 1);
		if (got == 1) {
			console->typed = true;
			return key;
		}
		if (console->foreground && (got == 0 || (errno != EAGAIN && errno != EINTR)))
			return -1;
		console->user.wait(console->user.arg);
		console->foreground = is_foreground(console);
	}
	return -1;
}

static void edited_read(struct console *console)
{
	editing_read();
	if (!console->cancelled)
		return;
	console->cancelled = false;
	prompt(console);
}

/* ---- both ---------------------------------------------------------------------------- */

int console_create(const struct console_user *user, FILE *out, struct console **ret,
		   struct err *err)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console)
		return err_sys(err, -ENOMEM, "console");
	console->user = *user;
	console->out = out;
	console->terminal = isatty(STDIN_FILENO);
	console->in = open_input(console->terminal);
	console->foreground = is_foreground(console);
	console->edited = editing_start(out, edited_key, edited_line, console);
	prompt(console);
	*ret = console;
	return 0;
}

void console_destroy(struct console *console)
{
	if (!console)
		return;
	console_stop(console);
	if (console->in != STDIN_FILENO)
		close(console->in);
	free(console);
}

int console_fd(const struct console *console)
{
	return console->ended || !console->foreground ? -1 : console->in;
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
		edited_read(console);
}

int console_key(struct console *console)
{
	unsigned char key;
	ssize_t got;

	console->foreground = is_foreground(console);
	if (!console->foreground)
		return -1;
	got = read(console->in, &key, 1);
	if (got == 1)
		return key;
	return got < 0 && (errno == EAGAIN || errno == EINTR) ? -1 : -2;
}

bool console_is_interactive(const struct console *console)
{
	return console->terminal;
}

bool console_cancel(struct console *console)
{
	if (!console->edited || !console->prompted || !console->typed || console->cancelled)
		return false;
	fputs("^C\n", console->out);
	if (editing_drop()) {
		prompt(console);
	} else {
		console->prompted = false;
		console->cancelled = true;
	}
	return true;
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
	if (console->edited)
		editing_hide();
	else
		fputc('\n', console->out);
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
