/*
 * The course of a session: a sample of the totals each second, without the tracer's help, so
 * that nothing of the process waits for it.
 */
#include <stdio.h>

#include "base/clock.h"
#include "cli/session_parts.h"
#include "report/print.h"

enum { SAMPLE_MS = 1000, MAX_BYTES = 1 << 30 };

/* False: they never stood still: the next one will. */
static bool sample(struct session *s, struct course_point *ret)
{
	struct course_point point = {.ms = clock_ms()};
	struct region_totals t;

	if (capture_totals(s->capture, &t, &point.resident))
		return false;
	point.allocs = t.allocs;
	point.frees = t.frees;
	point.in_use = t.allocated_bytes - t.freed_bytes;
	course_add(&s->course, &point);
	*ret = point;
	return true;
}

void session_sample(struct session *s)
{
	struct course_point point;

	s->due[TIMER_SAMPLE] = s->state == RUNNING ? clock_ms() + SAMPLE_MS : 0;
	sample(s, &point);
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
	struct course_point point;

	sample(s, &point);
	return report_course(&s->course, call->report.count, s->output.out);
}

/* "+40 bytes" */
static void print_change(FILE *out, uint64_t before, uint64_t now, const char *what)
{
	putc(now < before ? '-' : '+', out);
	print_count(out, now < before ? before - now : now - before, what);
}

void session_rates(struct session *s)
{
	const struct course_point *a = &s->monitored;
	struct course_point b;
	double seconds;

	if (!sample(s, &b))
		return;
	seconds = (double)(b.ms - a->ms) / 1000;
	if (a->ms && seconds > 0 && b.allocs >= a->allocs && b.frees >= a->frees) {
		fputs("    since the last: ", s->output.out);
		print_change(s->output.out, a->in_use, b.in_use, "byte");
		fputs(" in ", s->output.out);
		print_change(s->output.out, a->allocs - a->frees, b.allocs - b.frees, "block");
		fprintf(s->output.out, "; %.1f allocs/s, %.1f frees/s\n",
			(double)(b.allocs - a->allocs) / seconds,
			(double)(b.frees - a->frees) / seconds);
	}
	s->monitored = b;
}
