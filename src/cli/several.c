/*
 * Several processes: one console, one report, and a memtrace of its own for each (several_hands.c).
 *
 *     memtrace> process 4711      commands are for that one from now on
 *     memtrace> process all       ... for each
 *     memtrace> processes         which there are
 *
 * What a command says has whose it is above it.  One that ends is reported, and the others go on;
 * when the last one has ended, or somebody leaves, the report on all is written.
 */
#include "cli/several.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/heirs.h"
#include "cli/commands.h"
#include "cli/series.h"
#include "cli/several_parts.h"
#include "report/print.h"
#include "report/utf8.h"
#include "tracer/status.h"

enum { LOOK_MS = 200, AGAIN_MS = 3000, HAND_FDS = HAND_STREAMS + 2 };

static void leave(struct several *s)
{
	s->leaving = true;
	births_stop(s);
	for (size_t i = 0; i < s->hands.len; i++)
		hand_leave(&s->hands.at[i]);
	if (s->console)
		console_stop(s->console);
}

/* ---- commands ------------------------------------------------------------------------ */

static void list(struct several *s)
{
	for (size_t i = 0; i < s->hands.len; i++) {
		const struct hand *hand = &s->hands.at[i];
		struct status status;

		fprintf(s->answers, "%c %7d ", hand == s->selected ? '*' : ' ',
			(int)hand->target);
		utf8_print(s->answers, hand->name);
		if (!hand->ended && !status_read(hand->target, 0, &status)) {
			fputs(", RSS ", s->answers);
			print_size(s->answers, status.resident_kb * 1024);
		}
		fputs(hand->ended ? ", followed no more\n" : "\n", s->answers);
	}
	fflush(s->answers);
	s->speaker = NULL;
}

static int select_one(struct several *s, pid_t pid, struct err *err)
{
	s->selected = NULL;
	for (size_t i = 0; i < s->hands.len; i++)
		if (s->hands.at[i].target == pid)
			s->selected = &s->hands.at[i];
	return pid && !s->selected
		       ? err_set(err, -ENOENT, "pid %d is not followed; 'processes' lists them", pid)
		       : 0;
}

/* Each would write the same file, or speak to a shell of its own. */
static bool is_for_one(const struct command_call *call)
{
	bool writes = call->id == COMMAND_SAVE || call->id == COMMAND_EXPORT;

	return call->output != COMMAND_TO_CONSOLE || (writes && !series_has_pid(call->target)) ||
	       call->id == COMMAND_SHELL;
}

/* Those that wait for the answers to earlier lines read on to the end. */
static void on_end_of_input(void *arg)
{
	struct several *s = arg;

	for (size_t i = 0; i < s->hands.len; i++)
		hand_close(&s->hands.at[i]);
	births_stop(s);
	s->leaving = true;
}

/* Who types it waits for nothing; a script has said all of it before. */
static void quit(struct several *s)
{
	if (console_is_interactive(s->console)) {
		leave(s);
	} else {
		on_end_of_input(s);
		console_stop(s->console);
	}
}

static int carry_out(struct several *s, const char *line, const struct command_call *call,
		     struct err *err)
{
	switch (call->id) {
	case COMMAND_NONE:
		return 0;
	case COMMAND_HELP:
		commands_help(call->about, s->answers);
		fflush(s->answers);
		return 0;
	case COMMAND_PROCESSES:
		list(s);
		return 0;
	case COMMAND_PROCESS:
		return select_one(s, call->process, err);
	case COMMAND_QUIT:
		quit(s);
		return 0;
	default:
		break;
	}
	if (is_for_one(call) && !s->selected)
		return err_set(err, -EINVAL, "that is for one process: 'process PID' first");
	for (size_t i = 0; i < s->hands.len; i++)
		if (!s->selected || s->selected == &s->hands.at[i])
			hand_tell(&s->hands.at[i], line);
	return 0;
}

static void on_line(void *arg, const char *line)
{
	const struct report_options defaults = {.format = REPORT_TEXT};
	struct several *s = arg;
	struct command_call call;
	struct err err;
	int rc = commands_parse(line, &defaults, &call, &err);

	if (!rc)
		rc = carry_out(s, line, &call, &err);
	if (rc)
		output_warn(&s->output, "%s", err.text);
}

/* ---- the loop -------------------------------------------------------------------------- */

static void on_interrupt(struct several *s)
{
	int64_t now = clock_ms();

	if (!s->console || !console_is_interactive(s->console)) {
		leave(s);
	} else if (!console_cancel(s->console)) {
		if (s->warned_ms && now - s->warned_ms < AGAIN_MS)
			leave(s);
		else
			output_warn(&s->output, "Ctrl-C again detaches and reports");
		s->warned_ms = now;
	}
}

static void on_signal(struct several *s, const struct signal_event *event)
{
	switch (event->action) {
	case SIGNAL_INTERRUPT:
		on_interrupt(s);
		break;
	case SIGNAL_LEAVE_FAILED:
		s->left_by = event->signo;
		leave(s);
		break;
	case SIGNAL_LEAVE:
		leave(s);
		break;
	case SIGNAL_PASS: /* (the terminal's has come to it) */
		if (!event->shared)
			kill(s->hands.at[0].pid, event->signo);
		break;
	case SIGNAL_REPORT:
		for (size_t i = 0; i < s->hands.len; i++)
			if (!s->hands.at[i].ended)
				kill(s->hands.at[i].pid, event->signo);
		break;
	case SIGNAL_SUSPEND:
		signals_suspend();
		break;
	case SIGNAL_RESUMED:
		if (s->console)
			console_resume(s->console);
		break;
	case SIGNAL_RESIZED:
		if (s->console)
			console_resize(s->console);
		break;
	default:
		break;
	}
}

static bool all_have_ended(const struct several *s)
{
	for (size_t i = 0; i < s->hands.len; i++)
		if (!s->hands.at[i].ended)
			return false;
	return true;
}

/* (More entries than RLIMIT_NOFILE, closed ones counted, are refused.) */
static void wait_for(struct pollfd *fds, size_t *at, int fd, short events)
{
	if (fd >= 0)
		fds[(*at)++] = (struct pollfd){fd, events, 0};
}

/* Waits for what anybody says, and passes it on.  input: the console's, too, whose events are
 * returned. */
static short step(struct several *s, bool input)
{
	size_t hands = s->hands.len, at = 2;
	struct pollfd *fds = calloc(2 + hands * HAND_FDS, sizeof(*fds));
	struct signal_event event;
	short events;

	if (!fds)
		return 0;
	fds[0] = (struct pollfd){s->console && input ? console_fd(s->console) : -1, POLLIN, 0};
	fds[1] = (struct pollfd){s->signals.fd, POLLIN, 0};
	for (size_t i = 0; i < hands; i++) {
		const struct hand *hand = &s->hands.at[i];

		for (int k = 0; k < HAND_STREAMS; k++)
			wait_for(fds, &at, hand->from[k], POLLIN);
		wait_for(fds, &at, hand->births, POLLIN);
		wait_for(fds, &at, hand->to.len ? hand->in : -1, POLLOUT);
	}
	poll(fds, at, LOOK_MS);
	events = fds[0].revents;
	free(fds);
	for (size_t i = 0; i < hands; i++) /* (births first: they wait) */
		births_take(s, &s->hands.at[i]);
	births_tell(s);
	members_look(s);
	for (size_t i = 0; i < s->hands.len; i++) {
		for (int k = 0; k < HAND_STREAMS; k++)
			hand_take(s, &s->hands.at[i], k);
		hand_flush(&s->hands.at[i]);
		if (hand_look(s, &s->hands.at[i])) {
			births_take(s, &s->hands.at[i]);
			births_end(s, &s->hands.at[i]);
		}
	}
	while (signals_next(&s->signals, &event))
		on_signal(s, &event);
	return events;
}

static void on_wait(void *arg)
{
	step(arg, true);
}

static void open_console(struct several *s)
{
	const struct console_user user = {on_line, on_end_of_input, on_wait, s};
	const struct options *o = s->options;
	struct err err;

	if (o->batch || o->duration_ms || (o->program && !o->interactive))
		return;
	if (console_create(&user, stdout, &s->console, &err))
		output_warn(&s->output, "%s", err.text);
	s->output.console = s->console;
}

static void run(struct several *s)
{
	while (!all_have_ended(s) || members_may_come(s)) {
		short input = step(s, true);

		if (input && s->console && !s->leaving)
			console_read(s->console, input & (POLLHUP | POLLERR | POLLNVAL));
	}
}

/* A child, or one that has joined, that had ended or could not be followed was told of. */
static bool counts(const struct several *s, const struct hand *hand)
{
	bool asked = hand->born ? s->options->follow_behind : !hand->joined;

	return hand->status && (asked || hand_has_report(s, hand));
}

static int finish(struct several *s)
{
	bool written;

	if (s->console)
		console_stop(s->console);
	s->output.console = NULL;
	written = s->options->clear || several_report(s);
	if (s->left_by)
		return 128 + s->left_by;
	for (size_t i = 0; i < s->hands.len; i++)
		if (counts(s, &s->hands.at[i]))
			return s->hands.at[i].status;
	return !written;
}

static int start_all(struct several *s, struct err *err)
{
	const struct options *o = s->options;
	int rc = o->follow ? births_init(s, err) : 0;

	if (!rc)
		rc = members_init(s, err);
	if (!rc && o->program)
		rc = hand_start(s, 0, 0, err);
	for (size_t i = 0; i < o->pids.len && !rc; i++)
		rc = hand_start(s, o->pids.at[i], 0, err);
	return rc ? rc : signals_init(&s->signals, o->program, err);
}

int several_run(const struct options *options)
{
	struct several s = {
		.options = options, .signals = {.fd = -1}, .started_ms = clock_ms()};
	struct err err;
	int status, failed;

	output_init(&s.output, options->program ? stderr : stdout, options->quiet);
	s.answers = !options->program && (options->format == REPORT_TEXT || options->output)
			    ? stdout
			    : stderr;
	failed = start_all(&s, &err);
	if (failed) {
		output_warn(&s.output, "%s", err.text);
		leave(&s);
	} else {
		open_console(&s);
	}
	run(&s);
	status = finish(&s);
	console_destroy(s.console);
	if (s.room)
		munmap(s.room, sizeof(*s.room));
	for (size_t i = 0; i < s.hands.len; i++)
		hand_deinit(&s.hands.at[i]);
	vec_deinit(&s.hands);
	return failed && !status ? 1 : status;
}
