/*
 * A session: the main thread's loop, and all policy.
 *
 *   STARTING --- NOTICE_READY ---> RUNNING --- quit, -d, signal ---> LEAVING
 *       |                             |                                 |
 *       +-------------- NOTICE_ENDED -+---------------------------------+--> ENDED
 *                                                                     final report
 *
 * The tracer has a thread of its own (capture/); here is everything that may take
 * its time: the terminal, memtrace-fs, files.  Signals come as values, so nothing
 * ends this loop but NOTICE_ENDED: whatever the user does, the process is let go
 * first.  After that Ctrl-C ends us at once.
 */
#include "cli/session.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture/capture.h"
#include "capture/gather.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/leaver.h"
#include "cli/reporter.h"
#include "cli/signals.h"
#include "cli/words.h"

enum state { STARTING, RUNNING, LEAVING, ENDED };

/* How long the program of our job has to stop before we do: its tracer must be
 * awake to see it stop. */
enum { SUSPEND_MS = 50, SLOW_MS = 1000, JOB_MS = 500 };

/* What is due, and when: milliseconds of CLOCK_MONOTONIC, 0 = never. */
enum timer {
	TIMER_DURATION,
	TIMER_MONITOR,
	TIMER_SLOW,
	TIMER_SUSPEND,
	TIMER_JOB,
	TIMER_RETRY,
	TIMER_COUNT
};

struct session {
	const struct options *options;
	struct words words;
	struct signals signals;
	struct leaver leaver;
	struct reporter reporter;
	struct gather *gather; /* what modules lack; NULL: names are not wanted */
	struct capture *capture;
	struct console *console;
	enum state state;
	struct notice ending; /* NOTICE_ENDED */
	int left_by;	      /* the signal that made us leave, or 0 */
	bool failed;	      /* a -x command or a report */
	uint64_t due[TIMER_COUNT];
	uint64_t monitor_ms;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Let go of the process, then report.  More than once does no harm. */
static void leave(struct session *s)
{
	if (s->state >= LEAVING)
		return;
	s->state = LEAVING;
	memset(s->due, 0, sizeof(s->due));
	if (s->console)
		console_stop(s->console);
	capture_detach(s->capture);
}

/* ---- commands -------------------------------------------------------------------------- */

static void monitor(struct session *s, const struct command_call *call)
{
	bool on = call->monitor == MONITOR_EVERY ||
		  (call->monitor == MONITOR_TOGGLE && !s->due[TIMER_MONITOR]);

	s->monitor_ms = call->monitor == MONITOR_EVERY ? call->monitor_ms : MONITOR_DEFAULT_MS;
	s->due[TIMER_MONITOR] = on ? now_ms() + s->monitor_ms : 0;
	if (on)
		fprintf(s->words.out, "Status every %g second%s; 'monitor stop' ends it\n",
			(double)s->monitor_ms / 1000, s->monitor_ms == 1000 ? "" : "s");
	else
		fputs("Monitor is off\n", s->words.out);
}

/* The commands that show a state: over one snapshot. */
static int show(struct session *s, const struct command_call *call, struct err *err)
{
	struct snapshot *snapshot;
	int rc = capture_snapshot(s->capture, &snapshot, err);

	if (rc)
		return rc;
	switch (call->id) {
	case COMMAND_STATUS:
		rc = report_status(snapshot, s->words.out);
		break;
	case COMMAND_MODULES:
		rc = reporter_modules(&s->reporter, snapshot);
		break;
	case COMMAND_THREADS:
		rc = report_threads(snapshot, s->words.out);
		break;
	default:
		rc = reporter_write(&s->reporter, snapshot, &call->report, err);
		snapshot_destroy(snapshot);
		return rc;
	}
	snapshot_destroy(snapshot);
	return rc < 0 ? err_sys(err, rc, "writing") : 0;
}

static int carry_out(struct session *s, const struct command_call *call, struct err *err)
{
	switch (call->id) {
	case COMMAND_NONE:
		return 0;
	case COMMAND_HELP:
		commands_help(call->about, s->words.out);
		return 0;
	case COMMAND_QUIT:
		leave(s);
		return 0;
	case COMMAND_CLEAR:
		return capture_clear(s->capture, err);
	case COMMAND_MONITOR:
		monitor(s, call);
		return 0;
	case COMMAND_STATUS:
	case COMMAND_REPORT:
	case COMMAND_MODULES:
	case COMMAND_THREADS:
		return show(s, call, err);
	}
	return 0;
}

/* The console's defaults are the command line's, but for the format: --format is of
 * the final report. */
static struct report_options console_defaults(const struct session *s)
{
	struct report_options defaults = reporter_options(&s->reporter);

	defaults.format = REPORT_TEXT;
	return defaults;
}

/* One line of the console or of -x.  False: it failed, and that was said. */
static bool run_line(struct session *s, const char *line)
{
	struct report_options defaults = console_defaults(s);
	struct command_call call;
	struct err err;
	int rc = commands_parse(line, &defaults, &call, &err);

	if (!rc)
		rc = carry_out(s, &call, &err);
	fflush(s->words.out);
	if (rc)
		words_warn(&s->words, "%s", err.text);
	return !rc;
}

static void on_line(void *arg, const char *line)
{
	run_line(arg, line);
}

static void on_end_of_input(void *arg)
{
	leave(arg);
}

/* ---- events ------------------------------------------------------------------------------ */

/* The terminal may have become ours, or another job's; nobody tells a job that runs
 * in the background when that changes, so it looks from time to time. */
static void resume_console(struct session *s)
{
	if (!s->console)
		return;
	console_resume(s->console);
	s->due[TIMER_JOB] = console_fd(s->console) < 0 ? now_ms() + JOB_MS : 0;
}

static void on_wait(void *arg);

static void open_console(struct session *s)
{
	const struct options *o = s->options;
	const struct console_user user = {on_line, on_end_of_input, on_wait, s};
	bool wanted = o->pid ? !o->batch && !o->duration_ms : o->interactive;
	struct err err;

	if (!wanted)
		return;
	if (console_create(&user, s->words.out, &s->console, &err))
		words_warn(&s->words, "%s", err.text);
	s->words.console = s->console;
	if (s->console && console_fd(s->console) < 0)
		s->due[TIMER_JOB] = now_ms() + JOB_MS;
}

/* memtrace-fs starts while the first allocations are counted. */
static void begin_names(struct session *s)
{
	struct snapshot *snapshot;

	reporter_start(&s->reporter, capture_pid(s->capture));
	if (!s->options->pid || capture_snapshot(s->capture, &snapshot, NULL))
		return;
	reporter_introduce(&s->reporter, snapshot);
	snapshot_destroy(snapshot);
}

static void on_ready(struct session *s, const char *text)
{
	const struct options *o = s->options;

	if (s->state != STARTING)
		return; /* we are leaving already */
	s->state = RUNNING;
	words_say(&s->words, "%s", text);
	s->due[TIMER_SLOW] = 0;
	s->due[TIMER_DURATION] = o->duration_ms ? now_ms() + o->duration_ms : 0;
	begin_names(s);
	for (size_t i = 0; i < o->commands.len && s->state == RUNNING; i++)
		if (!run_line(s, o->commands.at[i]))
			s->failed = true;
	if (s->state != RUNNING)
		return;
	if (o->pid && o->batch && !o->duration_ms)
		leave(s);
	else
		open_console(s);
}

/* What a module lacks, and the capture goes on with.  wanted: the one it has just met. */
static void supply(struct session *s, const char *wanted)
{
	struct supplies supplies = {0};

	if (!s->gather || !s->reporter.source.resolver || s->state >= LEAVING)
		return;
	gather_process(s->gather, capture_pid(s->capture));
	gather_ask(s->gather, s->reporter.source.resolver, wanted, &supplies);
	if (supplies.len)
		capture_supply(s->capture, &supplies);
}

/* memtrace-fs is there again, perhaps another one. */
static void on_connected(struct session *s)
{
	if (s->gather)
		gather_forget(s->gather);
	supply(s, NULL);
}

static void on_notice(struct session *s, const struct notice *notice)
{
	switch (notice->kind) {
	case NOTICE_STEP:
		words_say(&s->words, "%s", notice->text);
		break;
	case NOTICE_WARNING:
		words_warn(&s->words, "%s", notice->text);
		break;
	case NOTICE_READY:
		on_ready(s, notice->text);
		break;
	case NOTICE_NO_ROWS:
		supply(s, notice->text);
		break;
	case NOTICE_EXEC:
		words_say(&s->words, "Process %d now runs %s; statistics begin anew",
			  (int)capture_pid(s->capture), notice->text);
		break;
	case NOTICE_ENDED:
		s->ending = *notice;
		s->state = ENDED;
		break;
	}
}

static void on_signal(struct session *s, const struct signal_event *event)
{
	switch (event->wish) {
	case SIGNAL_NOTHING:
		break;
	case SIGNAL_LEAVE:
	case SIGNAL_LEAVE_SICK:
		if (s->state < LEAVING && event->wish == SIGNAL_LEAVE_SICK)
			s->left_by = event->signo;
		leave(s);
		break;
	case SIGNAL_PASS:
	case SIGNAL_SUSPEND:
		if (!event->shared)
			capture_signal(s->capture, event->signo);
		if (event->wish == SIGNAL_SUSPEND)
			s->due[TIMER_SUSPEND] = now_ms() + SUSPEND_MS;
		break;
	case SIGNAL_STAY:
		words_say(&s->words, "memtrace can't be suspended while it is attached: the "
				     "process would stop with it");
		break;
	case SIGNAL_RESUMED:
		resume_console(s);
		break;
	case SIGNAL_RESIZED:
		if (s->console)
			console_resize(s->console);
		break;
	}
}

static void on_monitor(struct session *s)
{
	s->due[TIMER_MONITOR] = now_ms() + s->monitor_ms;
	words_begin(&s->words);
	run_line(s, "status");
	fputc('\n', s->words.out);
	words_end(&s->words);
}

static void on_timer(struct session *s, enum timer timer)
{
	s->due[timer] = 0;
	switch (timer) {
	case TIMER_DURATION:
		leave(s);
		break;
	case TIMER_MONITOR:
		on_monitor(s);
		break;
	case TIMER_SLOW:
		if (isatty(STDERR_FILENO))
			words_say(&s->words, "Still attaching ...");
		break;
	case TIMER_SUSPEND:
		kill(getpid(), SIGSTOP);
		break;
	case TIMER_JOB:
		resume_console(s);
		break;
	case TIMER_RETRY:
		if (source_retry(&s->reporter.source))
			on_connected(s);
		break;
	case TIMER_COUNT:
		break;
	}
}

/* The connection with memtrace-fs between questions. */
static void watch_source(struct session *s, bool readable)
{
	struct source *source = &s->reporter.source;

	if (readable && source_event(source))
		on_connected(s);
	source_tell(source);
	if (!s->due[TIMER_RETRY] && s->state < LEAVING) {
		unsigned pause = source_pause(source);
		s->due[TIMER_RETRY] = pause ? now_ms() + pause : 0;
	}
}

/* ---- the loop ------------------------------------------------------------------------------
 */

/* Milliseconds until the next timer, for poll(); -1: none. */
static int time_left(const struct session *s)
{
	uint64_t next = UINT64_MAX, now = now_ms();

	for (int i = 0; i < TIMER_COUNT; i++)
		if (s->due[i] && s->due[i] < next)
			next = s->due[i];
	if (next == UINT64_MAX)
		return -1;
	if (next <= now)
		return 0;
	return next - now < 1000000 ? (int)(next - now) : 1000000;
}

static void run_timers(struct session *s)
{
	uint64_t now = now_ms();

	for (int i = 0; i < TIMER_COUNT; i++)
		if (s->due[i] && s->due[i] <= now)
			on_timer(s, (enum timer)i);
}

/* Waits until there is something to do, and does it; all but the console's input, whose
 * events of poll() are returned. */
static short step(struct session *s)
{
	struct signal_event event;
	struct notice notice;
	struct pollfd fds[] = {
		{capture_fd(s->capture), POLLIN, 0},
		{s->signals.fd, POLLIN, 0},
		{s->console ? console_fd(s->console) : -1, POLLIN, 0},
		{source_fd(&s->reporter.source), POLLIN, 0},
	};

	poll(fds, ARRAY_SIZE(fds), time_left(s));
	while (leaver_next(&s->leaver, &event) || signals_next(&s->signals, &event))
		on_signal(s, &event);
	while (s->state != ENDED && capture_next(s->capture, &notice))
		on_notice(s, &notice);
	watch_source(s, fds[3].revents);
	run_timers(s);
	return fds[2].revents;
}

static void on_wait(void *arg)
{
	struct session *s = arg;

	step(s);
	if (s->state == ENDED)
		console_stop(s->console);
}

static void run(struct session *s)
{
	while (s->state != ENDED) {
		short input = step(s);

		if (input && s->state == RUNNING)
			console_read(s->console, input & (POLLHUP | POLLERR | POLLNVAL));
	}
}

/* ---- the end -------------------------------------------------------------------------------
 */

static void tell_ending(struct session *s)
{
	int pid = capture_pid(s->capture), status = s->ending.status;

	switch (s->ending.end) {
	case CAPTURE_EXITED:
		words_say(&s->words, "Process %d exited with status %d", pid, status);
		break;
	case CAPTURE_KILLED:
		words_say(&s->words, "Process %d was killed by signal %d (%s)", pid, status,
			  strsignal(status));
		break;
	case CAPTURE_GONE:
		words_say(&s->words, "Process %d has ended", pid);
		break;
	case CAPTURE_DETACHED:
		words_say(&s->words, "Detached from process %d", pid);
		break;
	case CAPTURE_FAILED:
	case CAPTURE_LOST:
		words_warn(&s->words, "%s", s->ending.text);
		break;
	}
}

/* The exit status: our own failure first, then leaks, if asked for, then the
 * program's. */
static int exit_status(const struct session *s, bool in_use)
{
	const struct options *o = s->options;

	if (s->failed || s->ending.end == CAPTURE_FAILED || s->ending.end == CAPTURE_LOST)
		return 1;
	if (o->has_error_exitcode && in_use)
		return (int)o->error_exitcode;
	if (s->left_by)
		return 128 + s->left_by;
	if (o->pid || s->ending.end == CAPTURE_DETACHED)
		return 0;
	return s->ending.end == CAPTURE_KILLED ? 128 + s->ending.status : s->ending.status;
}

static int finish(struct session *s)
{
	struct snapshot *snapshot = NULL;
	struct err err;
	bool in_use = false;

	if (s->console)
		console_stop(s->console);
	s->words.console = NULL;
	leaver_stop(&s->leaver);
	signals_release(&s->signals);
	tell_ending(s);
	if (s->ending.end == CAPTURE_FAILED)
		return exit_status(s, false);
	if (capture_snapshot(s->capture, &snapshot, &err)) {
		words_warn(&s->words, "%s", err.text);
		s->failed = true;
		return exit_status(s, false);
	}
	in_use = snapshot->totals.live_blocks > 0;
	s->failed |= snapshot->blind;
	if (!reporter_finish(&s->reporter, snapshot))
		s->failed = true;
	snapshot_destroy(snapshot);
	return exit_status(s, in_use);
}

/* A misspelled -x is known before anything is touched. */
static int check_commands(const struct session *s, struct err *err)
{
	const struct report_options defaults = console_defaults(s);
	const struct options *o = s->options;
	struct command_call call;
	struct err wrong;

	for (size_t i = 0; i < o->commands.len; i++)
		if (commands_parse(o->commands.at[i], &defaults, &call, &wrong))
			return err_set(err, wrong.code, "--command: %s", wrong.text);
	return 0;
}

/* Before the process is touched, and while Ctrl-C still ends us: finds memtrace-fs, and has
 * it say what the files of the process do not. */
static void prepare(struct session *s, struct supplies *ret)
{
	const struct options *o = s->options;
	const struct resolver_module *program = NULL;

	if (o->no_symbols)
		return;
	if (gather_create(&s->gather, NULL) == 0) {
		if (o->pid)
			gather_process(s->gather, o->pid);
		else
			gather_program(s->gather, o->program[0]);
		program = gather_main(s->gather);
	}
	reporter_connect(&s->reporter, program, s->gather && gather_lacks(s->gather));
	if (s->gather && s->reporter.source.resolver)
		gather_ask(s->gather, s->reporter.source.resolver, NULL, ret);
}

static int start(struct session *s, const struct supplies *supplies, struct err *err)
{
	const struct options *o = s->options;
	const struct capture_options wish = {
		.depth = o->depth,
		.supplies = *supplies,
		.stdin_null = o->interactive,
		.mask = s->signals.original,
		.record = o->record,
		.record_every = o->record_every,
		.record_case = o->record_case,
	};

	s->due[TIMER_SLOW] = now_ms() + SLOW_MS;
	if (o->pid)
		return capture_attach(&wish, o->pid, &s->capture, err);
	return capture_launch(&wish, o->program, &s->capture, err);
}

static int begin(struct session *s, struct err *err)
{
	struct supplies supplies = {0};
	int rc = check_commands(s, err);

	if (rc)
		return rc;
	prepare(s, &supplies);
	rc = signals_init(&s->signals, s->options->program, err);
	if (!rc)
		rc = start(s, &supplies, err);
	if (!rc)
		leaver_start(&s->leaver, &s->signals, s->capture);
	return rc;
}

int session_run(const struct options *options)
{
	struct session s = {.options = options, .leaver = {.end = -1}};
	struct err err;
	int status = 1;

	words_init(&s.words, options->pid ? stdout : stderr, options->quiet);
	reporter_init(&s.reporter, options, &s.words);
	if (begin(&s, &err)) {
		words_warn(&s.words, "%s", err.text);
	} else {
		run(&s);
		status = finish(&s);
	}
	capture_destroy(s.capture);
	console_destroy(s.console);
	gather_destroy(s.gather);
	reporter_deinit(&s.reporter);
	return status;
}
