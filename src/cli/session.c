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

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/lsan.h"
#include "cli/session_parts.h"
#include "tracer/attach.h"

enum { SLOW_MS = 1000 };

static void on_line(void *arg, const char *line)
{
	session_command(arg, line);
}

static void on_end_of_input(void *arg)
{
	session_leave(arg);
}

/* ---- events ------------------------------------------------------------------------------ */

static void on_wait(void *arg);

static void open_console(struct session *s)
{
	const struct console_user user = {on_line, on_end_of_input, on_wait, s};
	struct err err;

	if (!session_wants_console(s->options))
		return;
	if (console_create(&user, s->output.out, &s->console, &err))
		output_warn(&s->output, "%s", err.text);
	s->output.console = s->console;
	if (s->console)
		session_watch_terminal(s);
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
	if (o->result)
		o->result->pid = capture_pid(s->capture);
	output_log(&s->output, "%s", text);
	s->due[TIMER_SLOW] = 0;
	s->due[TIMER_DURATION] = o->duration_ms ? clock_ms() + o->duration_ms : 0;
	if (o->duration_ms && !o->leaks) /* (which looks first, at leisure) */
		detacher_set_timer(&s->detacher, o->duration_ms);
	if (options_look_only(o) || o->clear) {
		session_leave(s);
		return;
	}
	session_course(s);
	session_children_timer(s);
	s->due[TIMER_MARK] = o->mark_every_ms ? clock_ms() + o->mark_every_ms : 0;
	s->due[TIMER_EVERY] = o->every_ms ? clock_ms() + (int64_t)o->every_ms : 0;
	begin_names(s);
	for (size_t i = 0; i < o->commands.len && s->state == RUNNING; i++) {
		if (!session_command(s, o->commands.at[i]))
			s->failed = true;
		session_take_leave(s);
	}
	if (s->state != RUNNING)
		return;
	if (o->pid && o->batch && !o->duration_ms && !o->every_ms)
		session_leave(s);
	else
		open_console(s);
}

/* What a module lacks, and the capture goes on with.  wanted: the one it has just met. */
static void fetch_external(struct session *s, const char *wanted)
{
	struct externals externals = {0};

	if (!s->lacking || !s->reporter.link.resolver || s->state >= LEAVING)
		return;
	lacking_process(s->lacking, capture_pid(s->capture));
	output_begin(&s->output); /* what is waited for takes the line of a prompt */
	lacking_ask(s->lacking, s->reporter.link.resolver, wanted, &externals);
	output_wait(&s->output, "");
	output_end(&s->output);
	if (externals.len)
		capture_take_externals(s->capture, &externals);
}

/* memtrace-fs is there again, perhaps another one. */
static void on_connected(struct session *s)
{
	if (s->lacking)
		lacking_forget(s->lacking);
	fetch_external(s, NULL);
}

static void note_program(struct session *s, const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	if (s->options->result)
		snprintf(s->options->result->name, sizeof(s->options->result->name), "%.15s", name);
}

static void on_notice(struct session *s, const struct notice *notice)
{
	switch (notice->kind) {
	case NOTICE_STEP:
		if (s->options->verbose)
			output_log(&s->output, "%s", notice->text);
		break;
	case NOTICE_REMARK:
		output_log(&s->output, "%s", notice->text);
		break;
	case NOTICE_WARNING:
		output_warn(&s->output, "%s", notice->text);
		break;
	case NOTICE_READY:
		oom_victim_offer(&s->oom_victim);
		on_ready(s, notice->text);
		break;
	case NOTICE_NO_ROWS:
		fetch_external(s, notice->text);
		break;
	case NOTICE_EXITING:
		session_look_last(s, true);
		break;
	case NOTICE_EXEC:
		note_program(s, notice->text);
		session_forget(s);
		vec_clear(&s->family); /* (of a wrapper, it may be) */
		output_log(&s->output, "Process %d now runs %s; statistics begin anew",
			   (int)capture_pid(s->capture), notice->text);
		break;
	case NOTICE_ENDED:
		s->ending = *notice;
		s->state = ENDED;
		break;
	}
}

static void on_monitor(struct session *s)
{
	s->due[TIMER_MONITOR] = clock_ms() + s->monitor_ms;
	if (s->in_shell || s->in_top)
		return; /* the terminal is not the console's */
	output_begin(&s->output);
	session_command(s, "status");
	session_rates(s);
	fputc('\n', s->output.out);
	output_end(&s->output);
}

static void on_timer(struct session *s, enum session_timer timer)
{
	s->due[timer] = 0;
	switch (timer) {
	case TIMER_DURATION:
		session_leave(s);
		break;
	case TIMER_MONITOR:
		on_monitor(s);
		break;
	case TIMER_SLOW:
		if (isatty(STDERR_FILENO))
			output_log(&s->output, "Still attaching ...");
		break;
	case TIMER_SUSPEND:
		signals_suspend();
		break;
	case TIMER_JOB:
		session_resume(s);
		break;
	case TIMER_MARK:
		session_mark_timer(s);
		break;
	case TIMER_EVERY:
		session_report_timer(s);
		break;
	case TIMER_SAMPLE:
		session_sample(s);
		break;
	case TIMER_CHILDREN:
		session_children_timer(s);
		break;
	case TIMER_RETRY:
		if (server_link_retry(&s->reporter.link))
			on_connected(s);
		break;
	case TIMER_WAIT:
		s->waiting = false;
		break;
	case TIMER_COUNT:
		break;
	}
}

/* The connection with memtrace-fs between questions. */
static void watch_server(struct session *s, bool readable)
{
	struct server_link *link = &s->reporter.link;

	if (readable && server_link_event(link))
		on_connected(s);
	server_link_tell(link);
	if (!s->due[TIMER_RETRY] && s->state < LEAVING) {
		unsigned pause = server_link_pause(link);
		s->due[TIMER_RETRY] = pause ? clock_ms() + pause : 0;
	}
}

/* ---- the loop ------------------------------------------------------------------------------
 */

/* Milliseconds until the next timer, for poll(); -1: none. */
static int time_left(const struct session *s)
{
	int64_t next = INT64_MAX, now = clock_ms();

	for (int i = 0; i < TIMER_COUNT; i++)
		if (s->due[i] && s->due[i] < next)
			next = s->due[i];
	if (next == INT64_MAX)
		return -1;
	if (next <= now)
		return 0;
	return next - now < 1000000 ? (int)(next - now) : 1000000;
}

static void run_timers(struct session *s)
{
	int64_t now = clock_ms();

	for (int i = 0; i < TIMER_COUNT; i++)
		if (s->due[i] && s->due[i] <= now)
			on_timer(s, (enum session_timer)i);
}

/* Waits until there is something to do, and does it; all but the console's input, whose
 * events of poll() are returned, if it is to be waited for. */
static short step(struct session *s, bool input)
{
	struct signal_event event;
	struct notice notice;
	struct pollfd fds[] = {
		{capture_fd(s->capture), POLLIN, 0},
		{s->signals.fd, POLLIN, 0},
		{s->console && (input || s->in_top) ? console_fd(s->console) : -1, POLLIN, 0},
		{server_link_fd(&s->reporter.link), POLLIN, 0},
		{s->feeding, POLLOUT, 0},
	};

	poll(fds, ARRAY_SIZE(fds), time_left(s));
	session_take_leave(s);
	while (signals_next(&s->signals, &event))
		session_signal(s, &event);
	while (s->state != ENDED && capture_next(s->capture, &notice))
		on_notice(s, &notice);
	watch_server(s, fds[3].revents);
	run_timers(s);
	return fds[2].revents;
}

/* The same in a command that waits. */
static void step_inside(struct session *s)
{
	step(s, false);
}

static void on_wait(void *arg)
{
	struct session *s = arg;

	step(s, true);
	if (s->state == ENDED)
		console_stop(s->console);
}

static void run(struct session *s)
{
	while (s->state != ENDED) {
		short input = step(s, true);

		if (input && s->state == RUNNING)
			console_read(s->console, input & (POLLHUP | POLLERR | POLLNVAL));
	}
}

/* Before the process is touched, and while Ctrl-C still ends us: finds memtrace-fs, and has
 * it say what the files of the process do not. */
static void prepare(struct session *s, struct externals *ret)
{
	const struct options *o = s->options;
	const struct resolver_module *program = NULL;

	if (lacking_create(&s->lacking, NULL) == 0) {
		if (o->pid)
			lacking_process(s->lacking, o->pid);
		else
			lacking_program(s->lacking, o->program[0]);
		program = lacking_main(s->lacking);
		lsan_check(s->lacking, o, &s->output);
	}
	if (o->no_symbols) {
		lacking_destroy(s->lacking);
		s->lacking = NULL;
		return;
	}
	reporter_connect(&s->reporter, program, s->lacking && lacking_is_much(s->lacking));
	if (s->lacking && s->reporter.link.resolver)
		lacking_ask(s->lacking, s->reporter.link.resolver, NULL, ret);
}

static int start(struct session *s, const struct externals *externals, struct err *err)
{
	const struct options *o = s->options;
	const struct capture_options options = {
		.depth = o->depth,
		.externals = *externals,
		.stdin_null = o->interactive,
		.look_only = options_look_only(o),
		.stay = o->stay,
		.clear = o->clear,
		.look_at_end = o->leaks && !options_look_only(o),
		.mappings = o->mappings,
		.files = o->files,
		.born = o->born,
		.heirs = o->heirs,
		.heirs_room = o->heirs_room,
		.heirs_forks = o->follow_forks,
		.heirs_programs = o->follow_programs ? o->follow : NULL,
		.heirs_once = o->follow_behind,
		.mask = s->signals.original,
		.record = o->record,
		.record_every = o->record_every,
		.engine = o->engine > CAPTURE_AGENT ? CAPTURE_TRAP : (enum capture_engine)o->engine,
		.record_case = o->record_case,
		.selection = {o->min_size, o->sample, o->max_overhead},
	};

	s->due[TIMER_SLOW] = clock_ms() + SLOW_MS;
	if (o->pid)
		return capture_attach(&options, o->pid, &s->capture, err);
	return capture_launch(&options, o->program, &s->capture, err);
}

/* The process waits to be followed, and may not wait for names. */
static void prepare_late(struct session *s)
{
	struct externals externals = {0};

	prepare(s, &externals);
	if (externals.len)
		capture_take_externals(s->capture, &externals);
}

static int begin(struct session *s, struct err *err)
{
	struct externals externals = {0};
	int rc = session_check_commands(s, err);

	if (!rc)
		rc = attach_check_proc(err);
	if (rc)
		return rc;
	if (!s->options->born)
		prepare(s, &externals);
	rc = signals_init(&s->signals, s->options->program, err);
	if (!rc)
		rc = start(s, &externals, err);
	if (!rc)
		detacher_start(&s->detacher, &s->signals, s->capture);
	if (!rc && s->options->born)
		prepare_late(s);
	return rc;
}

/* What should not wait for a silent server: the console, the end of --duration, a signal.  A
 * server that is our own child would not come back. */
static bool is_wanted(void *arg)
{
	const struct session *s = arg;
	int64_t due = s->due[TIMER_DURATION];
	struct pollfd input = {s->console ? console_fd(s->console) : -1, POLLIN, 0};

	if (s->state != RUNNING || !server_link_is_remote(&s->reporter.link))
		return false;
	return atomic_load(&s->detacher.left) || (due && clock_ms() >= due) ||
	       poll(&input, 1, 0) > 0;
}

int session_run(const struct options *options)
{
	struct session s = {
		.options = options,
		.detacher = {.end = -1, .timer = -1},
		.feeding = -1,
		.step = step_inside,
	};
	struct err err;
	int status = 1;

	output_init(&s.output, options->pid ? stdout : stderr, options->quiet);
	reporter_init(&s.reporter, options, &s.output);
	s.reporter.course = &s.course;
	s.reporter.marks = &s.marks;
	s.reporter.link.enough = is_wanted;
	s.reporter.link.enough_arg = &s;
	if (begin(&s, &err)) {
		output_warn(&s.output, "%s", err.text);
	} else {
		run(&s);
		status = session_finish(&s);
	}
	findings_destroy(s.findings);
	findings_destroy(s.seen);
	capture_destroy(s.capture);
	console_destroy(s.console);
	lacking_destroy(s.lacking);
	course_clear(&s.course);
	allocators_deinit(&s.allocators);
	generations_clear(&s.generations, 0);
	vec_deinit(&s.contexts);
	marks_deinit(&s.marks);
	vec_deinit(&s.family);
	reporter_deinit(&s.reporter);
	return status;
}
