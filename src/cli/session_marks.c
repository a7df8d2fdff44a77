/* Marks of a session: a moment is named, and later it is asked what changed since. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/session_parts.h"
#include "report/print.h"

static int mark(struct session *s, const struct command_call *call,
		const struct snapshot *snapshot, struct err *err)
{
	bool dropped;
	int rc = marks_add(&s->marks, call->mark[0][0] ? call->mark[0] : NULL, snapshot,
			   &dropped, err);

	if (rc)
		return rc;
	fprintf(s->output.out, "Mark %s\n", s->marks.at[s->marks.count - 1].name);
	if (dropped)
		fprintf(s->output.out, "The oldest mark is dropped: at most %d are kept\n",
			MARKS_MAX);
	return 0;
}

static int list(struct session *s, const struct snapshot *snapshot)
{
	FILE *out = s->output.out;

	if (!s->marks.count)
		fputs("There are no marks; 'mark' sets one\n", out);
	for (size_t i = 0; i < s->marks.count; i++) {
		const struct mark *m = &s->marks.at[i];

		fprintf(out, "%s: %lld s ago, ", m->name,
			(long long)(snapshot->taken.tv_sec - m->taken.tv_sec));
		print_count(out, m->total.allocated_bytes - m->total.freed_bytes, "byte");
		fputs(" in ", out);
		print_count(out, m->total.allocs - m->total.frees, "block");
		fputs(" in use\n", out);
	}
	return 0;
}

/* Who survived is said as far as memory lets. */
static void survive(struct diff *diff, const struct birth_list *blocks,
		    const struct snapshot *snapshot)
{
	struct births_span *spans;

	if (!blocks->cap || births_in_span(blocks, diff->from_ticks, diff->to_ticks,
					   snapshot->context_count, &spans, NULL))
		return;
	diff_survived(diff, spans, snapshot);
	free(spans);
}

static int diff(struct session *s, const struct command_call *call,
		const struct birth_list *blocks, const struct snapshot *snapshot,
		struct err *err)
{
	struct report_options options = call->report;
	struct diff diff;
	int rc = marks_diff(&s->marks, call->mark[0][0] ? call->mark[0] : NULL,
			    call->mark[1][0] ? call->mark[1] : NULL, snapshot, &diff, err);

	if (rc)
		return rc;
	survive(&diff, blocks, snapshot);
	options.diff = &diff;
	rc = reporter_write(&s->reporter, snapshot, &options, err);
	diff_deinit(&diff);
	return rc;
}

int session_mark(struct session *s, const struct command_call *call, struct err *err)
{
	struct birth_list blocks = {0};
	struct snapshot *snapshot;
	int rc = call->id == COMMAND_MARK    ? capture_snapshot_mark(s->capture, &snapshot, err)
		 : call->id == COMMAND_MARKS ? capture_snapshot(s->capture, &snapshot, err)
					     : session_snapshot_blocks(s, call->report.min_age_ms,
								       &blocks, &snapshot, err);

	if (rc)
		return rc;
	rc = call->id == COMMAND_MARK	 ? mark(s, call, snapshot, err)
	     : call->id == COMMAND_MARKS ? list(s, snapshot)
					 : diff(s, call, &blocks, snapshot, err);
	vec_deinit(&blocks);
	snapshot_destroy(snapshot);
	return rc;
}

void session_mark_timer(struct session *s)
{
	struct snapshot *snapshot;
	struct err err;
	bool dropped;

	s->due[TIMER_MARK] =
		s->state == RUNNING ? clock_ms() + (int64_t)s->options->mark_every_ms : 0;
	if (capture_snapshot_mark(s->capture, &snapshot, &err)) {
		output_warn(&s->output, "%s", err.text);
		return;
	}
	if (marks_add(&s->marks, NULL, snapshot, &dropped, &err))
		output_warn(&s->output, "%s", err.text);
	snapshot_destroy(snapshot);
}
