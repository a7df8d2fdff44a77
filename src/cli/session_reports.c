/*
 * Reports on the way: each --every, and one that a SIGUSR1 asks for.  One that can't be written
 * (a full disk) ends nothing, and is said once until one can be again.
 */
#include <stdio.h>

#include "base/clock.h"
#include "cli/session_parts.h"

static int write_now(struct session *s, struct err *err)
{
	struct snapshot *snapshot;
	int rc = session_snapshot(s, s->options->min_age_ms, &snapshot, err);

	if (rc)
		return rc;
	rc = reporter_now(&s->reporter, snapshot, err);
	snapshot_destroy(snapshot);
	return rc;
}

static void write_or_say(struct session *s)
{
	struct err err;
	int rc;

	if (!s->in_shell) /* (else the terminal is not ours) */
		output_begin(&s->output);
	rc = write_now(s, &err);
	if (!s->in_shell)
		output_end(&s->output);
	if (rc && !s->unwritten)
		output_warn(&s->output, "%s", err.text);
	s->unwritten = rc;
}

void session_report_timer(struct session *s)
{
	if (s->state != RUNNING)
		return;
	write_or_say(s);
	s->due[TIMER_EVERY] = clock_ms() + (int64_t)s->options->every_ms;
}

void session_report_now(struct session *s)
{
	if (s->state != RUNNING)
		return;
	/* (of one of several, it is where the final one is to be) */
	if (s->options->output && (!s->options->result || s->options->output_each)) {
		write_or_say(s);
	} else if (s->in_shell) {
		output_log(&s->output, "No report for SIGUSR1: a command has the terminal");
	} else {
		output_begin(&s->output);
		session_command(s, "report");
		output_end(&s->output);
	}
}
