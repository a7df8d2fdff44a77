/*
 * `top`: the table of report/top.c, again and again on a terminal, once elsewhere.
 *
 * On a terminal it has a screen of its own (ECMA-48 and xterm's private modes 1049 and 25), and
 * takes single keys meanwhile: both are given back whatever ends it, so what was on the screen is
 * there again.  Words that come meanwhile wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/scope.h"
#include "cli/session_parts.h"

enum { COLUMNS = 80, SHOWN = 10, ABOVE = 5 };

struct top {
	struct session *s;
	const struct command_call *call;
	struct report_top table;
	struct mark begin, last;
	struct termios before; /* of the terminal */
	bool screen;	       /* it is a terminal */
};

static bool has_screen(const struct session *s, const struct command_call *call)
{
	const char *term = getenv("TERM");

	return s->console && console_is_interactive(s->console) &&
	       console_fd(s->console) >= 0 && call->output == COMMAND_TO_CONSOLE &&
	       isatty(fileno(s->output.out)) && term && *term && strcmp(term, "dumb");
}

static void take_screen(struct top *top)
{
	struct termios keys;

	top->screen = has_screen(top->s, top->call) && !tcgetattr(STDIN_FILENO, &top->before);
	if (!top->screen)
		return;
	keys = top->before;
	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &keys);
	output_hold(&top->s->output);
	fputs("\033[?1049h\033[?25l", top->s->output.out);
	top->s->in_top = true;
}

static void give_screen_back(struct top *top)
{
	if (!top->screen)
		return;
	top->s->in_top = false;
	fputs("\033[?25h\033[?1049l", top->s->output.out);
	fflush(top->s->output.out);
	tcsetattr(STDIN_FILENO, TCSANOW, &top->before);
	output_release(&top->s->output);
}

/* What the terminal has room for. */
static unsigned fit(struct top *top)
{
	struct winsize size = {0};

	top->table.columns = COLUMNS;
	if (!top->screen || ioctl(fileno(top->s->output.out), TIOCGWINSZ, &size) || !size.ws_row)
		return SHOWN;
	if (size.ws_col)
		top->table.columns = size.ws_col;
	return size.ws_row > ABOVE ? size.ws_row - ABOVE : 1;
}

/* Written at once, so that it does not flicker. */
static int show(struct top *top, const struct snapshot *snapshot, struct err *err)
{
	struct output *output = &top->s->output;
	struct report_options options = top->call->report;
	unsigned room = fit(top);
	scope_free char *text = NULL;
	FILE *out = output->out;
	size_t len;
	int rc;

	if (!options.count || (top->screen && options.count > room))
		options.count = room;
	options.top = &top->table;
	output->out = open_memstream(&text, &len);
	if (!output->out) {
		output->out = out;
		return err_sys(err, -errno, "top");
	}
	rc = reporter_write(&top->s->reporter, snapshot, &options, err);
	fclose(output->out);
	output->out = out;
	if (rc)
		return rc;
	if (top->screen)
		fprintf(out, "\033[H\033[J%s, every %g s; g: growth, r: rate, b: bytes, q: end\n",
			top_keys[top->table.key], (double)top->call->top_ms / 1000);
	fputs(text ? text : "", out);
	fflush(out);
	return 0;
}

static bool is_of_one_count(const struct mark *mark, const struct snapshot *s)
{
	return mark->started.tv_sec == s->started.tv_sec &&
	       mark->started.tv_nsec == s->started.tv_nsec;
}

/* A mark in the place of another, whose counts may be ended. */
static int renew(struct mark *mark, const struct snapshot *snapshot, struct err *err)
{
	struct mark next;
	int rc = mark_take(snapshot, "top", &next, err);

	if (rc)
		return rc;
	free(mark->contexts);
	*mark = next;
	return 0;
}

static int step(struct top *top, bool first, struct err *err)
{
	struct snapshot *snapshot;
	int rc = session_snapshot(top->s, top->call->report.min_age_ms, &snapshot, err);

	if (rc)
		return rc;
	if (first || !is_of_one_count(&top->begin, snapshot)) {
		rc = renew(&top->begin, snapshot, err);
		if (!rc)
			rc = renew(&top->last, snapshot, err);
	}
	if (!rc && (!first || top->screen))
		rc = show(top, snapshot, err);
	if (!rc)
		rc = renew(&top->last, snapshot, err);
	snapshot_destroy(snapshot);
	return rc;
}

/* Returns whether to go on at once. */
static bool press(struct top *top, int key)
{
	static const char letters[] = {
		[TOP_BY_GROWTH] = 'g', [TOP_BY_RATE] = 'r', [TOP_BY_BYTES] = 'b'};

	for (size_t i = 0; i < sizeof(letters); i++) {
		if (key == letters[i]) {
			top->table.key = (enum top_key)i;
			return true;
		}
	}
	if (key == 'q' || key == -2)
		top->s->waiting = false;
	return key == ' ';
}

/* Until the time is over, or a key asks for the table. */
static void wait(struct top *top)
{
	struct session *s = top->s;
	int64_t end = clock_ms() + (int64_t)top->call->top_ms;
	bool now = false;
	int key;

	while (s->waiting && s->state == RUNNING && !now && clock_ms() < end) {
		s->due[TIMER_WAIT] = end;
		session_step(s);
		if (clock_ms() >= end)
			s->waiting = true; /* (the timer, and no Ctrl-C) */
		while (top->screen && !now && (key = console_key(s->console)) != -1 &&
		       s->waiting)
			now = press(top, key);
	}
	s->due[TIMER_WAIT] = 0;
}

int session_top(struct session *s, const struct command_call *call, struct err *err)
{
	struct top top = {.s = s, .call = call, .table = {.key = call->top_key}};
	int rc;

	top.table.begin = &top.begin;
	top.table.last = &top.last;
	take_screen(&top);
	detacher_output_end(&s->detacher); /* here Ctrl-C is taken at once */
	s->waiting = true;
	rc = step(&top, true, err);
	while (!rc && s->waiting && s->state == RUNNING) {
		wait(&top);
		if (!s->waiting || s->state != RUNNING)
			break;
		rc = step(&top, false, err);
		s->waiting &= top.screen;
	}
	s->waiting = false;
	give_screen_back(&top);
	free(top.begin.contexts);
	free(top.last.contexts);
	return rc;
}
