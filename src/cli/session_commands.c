/* The commands of a session: what the console and -x ask for. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/scope.h"
#include "cli/session_parts.h"

static void monitor(struct session *s, const struct command_call *call)
{
	bool on = call->monitor == MONITOR_EVERY ||
		  (call->monitor == MONITOR_TOGGLE && !s->due[TIMER_MONITOR]);

	s->monitor_ms = call->monitor == MONITOR_EVERY ? call->monitor_ms : MONITOR_DEFAULT_MS;
	s->due[TIMER_MONITOR] = on ? clock_ms() + s->monitor_ms : 0;
	s->monitored.ms = 0;
	if (on)
		fprintf(s->output.out, "Status every %g second%s; 'monitor stop' ends it\n",
			(double)s->monitor_ms / 1000, s->monitor_ms == 1000 ? "" : "s");
	else
		fputs("Monitor is off\n", s->output.out);
}

/* The commands that show a state: over one snapshot. */
static int show(struct session *s, const struct command_call *call, struct err *err)
{
	struct snapshot *snapshot;
	bool judged = call->id == COMMAND_REPORT || call->id == COMMAND_TREE ||
		      call->id == COMMAND_SAVE || call->id == COMMAND_EXPORT;
	int rc = judged ? session_snapshot(s, call->report.min_age_ms, &snapshot, err)
			: capture_snapshot(s->capture, &snapshot, err);

	if (rc)
		return rc;
	switch (call->id) {
	case COMMAND_STATUS:
		rc = report_status(snapshot, s->output.out);
		break;
	case COMMAND_MODULES:
		rc = reporter_modules(&s->reporter, snapshot);
		break;
	case COMMAND_THREADS:
		rc = report_threads(snapshot, s->output.out);
		break;
	case COMMAND_SAVE:
	case COMMAND_EXPORT:
		rc = reporter_save(&s->reporter, snapshot, &call->report, call->target, err);
		snapshot_destroy(snapshot);
		return rc;
	default:
		rc = reporter_write(&s->reporter, snapshot, &call->report, err);
		snapshot_destroy(snapshot);
		return rc;
	}
	snapshot_destroy(snapshot);
	return rc < 0 ? err_sys(err, rc, "writing") : 0;
}

/* It says what is lost by it. */
static int clear(struct session *s, struct err *err)
{
	struct snapshot *before;
	int rc = capture_snapshot(s->capture, &before, err);

	if (rc)
		return rc;
	capture_clear(s->capture);
	session_forget(s);
	session_sample(s);
	fputs("Counting begins anew; dropped:\n", s->output.out);
	report_totals(before, s->output.out);
	snapshot_destroy(before);
	return 0;
}

static int carry_out(struct session *s, const struct command_call *call, struct err *err)
{
	switch (call->id) {
	case COMMAND_NONE:
		return 0;
	case COMMAND_HELP:
		commands_help(call->about, s->output.out);
		return 0;
	case COMMAND_QUIT:
		session_leave(s);
		return 0;
	case COMMAND_LEAVE:
		return session_leave_behind(s, err);
	case COMMAND_CLEAR:
		return clear(s, err);
	case COMMAND_WAIT:
		session_wait(s, call->wait_ms);
		return 0;
	case COMMAND_PROCESSES:
		fprintf(s->output.out, "* %7d\n", (int)capture_pid(s->capture));
		return 0;
	case COMMAND_PROCESS:
		return call->process && call->process != capture_pid(s->capture)
			       ? err_set(err, -ENOENT, "pid %d is not followed", call->process)
			       : 0;
	case COMMAND_SHELL:
		return session_shell(s, call->target, NULL, 0, err);
	case COMMAND_MONITOR:
		monitor(s, call);
		return 0;
	case COMMAND_STATUS:
	case COMMAND_REPORT:
		return call->mark[0][0] ? session_mark(s, call, err) : show(s, call, err);
	case COMMAND_TREE:
	case COMMAND_SAVE:
	case COMMAND_EXPORT:
	case COMMAND_MODULES:
	case COMMAND_THREADS:
		return show(s, call, err);
	case COMMAND_HISTORY:
		return session_history(s, call, err);
	case COMMAND_TOP:
		return session_top(s, call, err);
	case COMMAND_MARK:
	case COMMAND_MARKS:
	case COMMAND_DIFF:
		return session_mark(s, call, err);
	case COMMAND_LEAKS:
	case COMMAND_WHY:
	case COMMAND_WHO:
	case COMMAND_BLOCK:
	case COMMAND_HEAP:
		return session_look(s, call, err);
	}
	return 0;
}

/* The console's defaults are the command line's, but for the format: --format is of
 * the final report. */
static struct report_options console_defaults(const struct session *s)
{
	struct report_options defaults = reporter_options(&s->reporter);

	defaults.format = REPORT_TEXT;
	defaults.cancelled = detacher_is_cancelled;
	defaults.cancelled_arg = (void *)&s->detacher;
	return defaults;
}

/* > FILE */
static int to_file(struct session *s, const struct command_call *call, struct err *err)
{
	FILE *file = fopen(call->target, "we");
	int rc;

	if (!file)
		return err_sys(err, -errno, "can't write %s", call->target);
	s->output.out = file;
	rc = carry_out(s, call, err);
	if (fclose(file) && !rc)
		rc = err_sys(err, -errno, "can't write %s", call->target);
	return rc;
}

/* | COMMAND: which begins when the answer is there, so that nothing here waits for it. */
static int to_shell(struct session *s, const struct command_call *call, struct err *err)
{
	scope_free char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);
	FILE *out = s->output.out;
	int rc;

	if (!file)
		return err_sys(err, -errno, "%s", call->target);
	s->output.out = file;
	rc = carry_out(s, call, err);
	s->output.out = out;
	if (fclose(file) && !rc)
		rc = err_sys(err, -errno, "%s", call->target);
	return rc ? rc : session_shell(s, call->target, text, len, err);
}

/* With --format=json, standard output is one document: what is no JSON goes beside it.  So
 * does all where it is one snapshot. */
static bool is_beside(const struct session *s, const struct command_call *call)
{
	return s->options->format != REPORT_TEXT && !s->options->output &&
	       (call->report.format != s->options->format || call->id == COMMAND_SAVE ||
		call->id == COMMAND_EXPORT);
}

static int answer(struct session *s, const struct command_call *call, struct err *err)
{
	FILE *out = s->output.out;
	int rc;

	if (is_beside(s, call))
		s->output.out = stderr;
	rc = call->output == COMMAND_TO_FILE	? to_file(s, call, err)
	     : call->output == COMMAND_TO_SHELL ? to_shell(s, call, err)
						: carry_out(s, call, err);
	fflush(call->output == COMMAND_TO_FILE ? out : s->output.out);
	s->output.out = out;
	return rc;
}

/* Its own, as it stays where it is now. */
static void point_to_names(struct command_call *call)
{
	call->report.in = call->in[0] ? call->in : NULL;
	call->report.not_in = call->not_in[0] ? call->not_in : NULL;
	call->report.tree_from = call->from[0] ? call->from : NULL;
}

bool session_command(struct session *s, const char *line)
{
	struct report_options defaults = console_defaults(s);
	struct command_call call;
	struct err err;
	int rc = commands_parse(line, &defaults, &call, &err);
	bool cancellable = session_has_user(s);

	if (cancellable)
		detacher_output_begin(&s->detacher);
	if (!rc)
		point_to_names(&call);
	if (!rc)
		rc = answer(s, &call, &err);
	if (cancellable && detacher_output_end(&s->detacher)) {
		output_log(&s->output, "Cancelled");
		return false;
	}
	if (rc)
		output_warn(&s->output, "%s", err.text);
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
