/* The end of a session: what became of the process, the final report, the exit status. */
#include <inttypes.h>
#include <string.h>

#include "cli/judge.h"
#include "cli/session.h"
#include "cli/session_parts.h"
#include "heap/verdicts.h"
#include "report/sampling.h"

static void tell_ending(struct session *s)
{
	int pid = capture_pid(s->capture), status = s->ending.status;

	switch (s->ending.end) {
	case CAPTURE_EXITED:
		output_log(&s->output, "Process %d exited with status %d", pid, status);
		break;
	case CAPTURE_KILLED:
		output_log(&s->output, "Process %d was killed by signal %d (%s)", pid, status,
			   strsignal(status));
		break;
	case CAPTURE_GONE:
		output_log(&s->output, "Process %d has ended", pid);
		break;
	case CAPTURE_DETACHED:
		if (s->ending.left)
			output_log(&s->output,
				   "Left process %d, in which the capture goes on: 'memtrace -p %d' takes it up, "
				   "'memtrace --clear -p %d' ends it",
				   pid, pid, pid);
		else
			output_log(&s->output, "Detached from process %d", pid);
		break;
	case CAPTURE_FAILED:
	case CAPTURE_LOST:
		output_warn(&s->output, "%s", s->ending.text);
		break;
	}
}

/* The exit status but for leaks: our own failure first, then the program's. */
static int other_status(const struct session *s)
{
	if (s->failed || s->ending.end == CAPTURE_FAILED || s->ending.end == CAPTURE_LOST)
		return 1;
	if (s->left_by)
		return 128 + s->left_by;
	if (s->options->pid || s->ending.end == CAPTURE_DETACHED)
		return 0;
	return s->ending.end == CAPTURE_KILLED ? 128 + s->ending.status : s->ending.status;
}

static int lost_status(struct session *s, int status)
{
	const struct findings_sums *all = s->findings ? &s->findings->all : NULL;

	if (!all || !(all->lost.blocks + all->through.blocks))
		return status;
	output_warn(&s->output, "blocks lost: %" PRIu64 " (%" PRIu64 " bytes)%s",
		    all->lost.blocks + all->through.blocks, findings_gone(all),
		    status ? "; the exit status is not of these" : "");
	return status ? status : (int)s->options->error_exitcode;
}

/* How many expressions of --fail-on apply. */
static unsigned judged(struct session *s, const struct snapshot *snapshot)
{
	struct err err;
	int rc = judge(&s->reporter, snapshot, &err);

	if (rc >= 0)
		return (unsigned)rc;
	output_warn(&s->output, "%s", err.text);
	s->failed = true;
	return 0;
}

/* Of blocks in use, but those that every program has since it started. */
static int in_use_status(struct session *s, const struct snapshot *snapshot, int status)
{
	const struct region_totals *totals = &snapshot->totals;
	struct start_up known;
	char apart[80] = "";
	struct err err;

	if (!totals->live_blocks)
		return status;
	if (reporter_start_up(&s->reporter, snapshot, &known, &err)) {
		output_warn(&s->output, "%s", err.text);
		s->failed = true;
		return status ? status : 1;
	}
	if (known.blocks == totals->live_blocks)
		return status;
	if (known.blocks)
		snprintf(apart, sizeof(apart), ", and %" PRIu64 " (%" PRIu64 " bytes) of starting up",
			 known.blocks, known.bytes);
	output_warn(&s->output, "blocks in use: %s%" PRIu64 " (%" PRIu64 " bytes)%s%s",
		    sampling_estimates(snapshot) ? "about " : "", totals->live_blocks - known.blocks,
		    totals->allocated_bytes - totals->freed_bytes - known.bytes, apart,
		    status ? "; the exit status is not of these" : "");
	return status ? status : (int)s->options->error_exitcode;
}

/* A crash must not look like a leak: --error-exitcode comes last, and beside its words. */
static int exit_status(struct session *s, const struct snapshot *snapshot)
{
	const struct options *o = s->options;
	const struct region_totals *totals = snapshot ? &snapshot->totals : NULL;
	unsigned failures = snapshot ? judged(s, snapshot) : 0;
	int status = other_status(s);

	if (failures && !status)
		status = o->has_error_exitcode ? (int)o->error_exitcode : OPTIONS_FAILED;
	if (o->fail_on == FAIL_ON_EXPRESSIONS)
		return status;

	if (o->has_error_exitcode && (o->fail_on == FAIL_ON_LOST || options_look_only(o)))
		return lost_status(s, status);
	if (!o->has_error_exitcode || !totals)
		return status;
	return in_use_status(s, snapshot, status);
}

/* --clear: what could not be taken out was said. */
static int clear_status(struct session *s)
{
	struct snapshot *snapshot;
	struct err err;
	bool left;

	if (s->ending.end != CAPTURE_DETACHED)
		return 1;
	if (capture_snapshot(s->capture, &snapshot, &err)) {
		output_warn(&s->output, "%s", err.text);
		return 1;
	}
	left = snapshot->left_behind && snapshot->left_behind[0];
	if (!left)
		output_log(&s->output, "Nothing of memtrace is in process %d any more",
			   (int)capture_pid(s->capture));
	snapshot_destroy(snapshot);
	return left;
}

/* --follow=NAME: PROGRAM was not asked for, but has led to who was. */
static int led_to_others(struct session *s)
{
	struct region_totals totals;
	struct capture_memory memory;

	if (!capture_totals(s->capture, false, &totals, &memory))
		output_log(&s->output, "It led to what is reported, with %" PRIu64 " bytes in %" PRIu64 " blocks of its own",
			   totals.allocated_bytes - totals.freed_bytes, totals.live_blocks);
	return other_status(s);
}

int session_finish(struct session *s)
{
	struct snapshot *snapshot = NULL;
	struct err err;
	int status;

	if (s->console)
		console_stop(s->console);
	s->output.console = NULL;
	detacher_stop(&s->detacher);
	session_take_leave(s); /* taken after the last look */
	signals_release(&s->signals);
	tell_ending(s);
	if (s->options->clear)
		return clear_status(s);
	if (s->ending.end == CAPTURE_FAILED)
		return exit_status(s, NULL);
	if ((s->options->program || s->options->follow_behind) && s->ending.others)
		return led_to_others(s);
	if (session_snapshot(s, s->options->min_age_ms, &snapshot, &err)) {
		output_warn(&s->output, "%s", err.text);
		s->failed = true;
		return exit_status(s, NULL);
	}
	if (snapshot->verdicts && s->findings)
		verdicts_see(snapshot->verdicts, s->findings, false);
	s->failed |= snapshot->no_allocator && !options_look_only(s->options) && !s->options->born;
	if (options_look_only(s->options) ? s->findings && !reporter_finish(&s->reporter, snapshot,
									    s->findings)
					  : !reporter_finish(&s->reporter, snapshot, s->findings))
		s->failed = true;
	status = exit_status(s, snapshot);
	if (s->options->result) {
		s->options->result->totals = snapshot->totals;
		s->options->result->reported = !options_look_only(s->options) || s->findings;
	}
	if (!options_look_only(s->options) && (!s->options->follow || s->options->follow_behind))
		session_children_tell(s);
	if (s->ending.wished && !s->options->born)
		output_warn(&s->output, "--follow=%s: no such program began; the report is on %s", s->options->follow,
			    s->options->program ? s->options->program[0] : "the process alone");
	snapshot_destroy(snapshot);
	return status;
}
