/*
 * The course of a session: a sample of the totals each second, without the tracer's help, so
 * that nothing of the process waits for it.
 */
#include <stdio.h>

#include "base/clock.h"
#include "cli/session_parts.h"

enum { SAMPLE_MS = 1000, MAX_BYTES = 1 << 30 };

static void sample(struct session *s)
{
	struct course_point point = {.ms = clock_ms()};
	struct region_totals t;

	if (capture_totals(s->capture, &t, &point.resident))
		return; /* they never stood still: the next one will */
	point.allocs = t.allocs;
	point.frees = t.frees;
	point.in_use = t.allocated_bytes - t.freed_bytes;
	course_add(&s->course, &point);
}

void session_sample(struct session *s)
{
	s->due[TIMER_SAMPLE] = s->state == RUNNING ? clock_ms() + SAMPLE_MS : 0;
	sample(s);
}

void session_course(struct session *s)
{
	uint64_t bytes = s->options->history;

	s->course.max_bytes = bytes < COURSE_MIN_BYTES ? COURSE_MIN_BYTES
			      : bytes > MAX_BYTES      ? MAX_BYTES
						       : (size_t)bytes;
	session_sample(s);
}

int session_history(struct session *s, const struct command_call *call)
{
	sample(s);
	return report_course(&s->course, call->report.count, s->output.out);
}
