/* The commands of a session: what the console and -x ask for. */
#include <stdio.h>

#include "cli/session_parts.h"

static void monitor(struct session *s, const struct command_call *call)
{
	bool on = call->monitor == MONITOR_EVERY ||
		  (call->monitor == MONITOR_TOGGLE && !s->due[TIMER_MONITOR]);

	s->monitor_ms = call->monitor == MONITOR_EVERY ? call->monitor_ms : MONITOR_DEFAULT_MS;
	s->due[TIMER_MONITOR] = on ? session_now_ms() + s->monitor_ms : 0;
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
		session_leave(s);
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
	defaults.cancelled = leaver_is_cancelled;
	defaults.cancelled_arg = (void *)&s->leaver;
	return defaults;
}

bool session_command(struct session *s, const char *line)
{
	struct report_options defaults = console_defaults(s);
	struct command_call call;
	struct err err;
	int rc = commands_parse(line, &defaults, &call, &err);
	bool cancellable = s->console && console_is_interactive(s->console);

	if (cancellable)
		leaver_output_begin(&s->leaver);
	if (!rc)
		rc = carry_out(s, &call, &err);
	fflush(s->words.out);
	if (cancellable && leaver_output_end(&s->leaver)) {
		words_say(&s->words, "Cancelled");
		return false;
	}
	if (rc)
		words_warn(&s->words, "%s", err.text);
	return !rc;
}

int session_check_commands(const struct session *s, struct err *err)
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
