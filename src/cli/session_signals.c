/* What signals mean to a session. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/session_parts.h"

/* How long the program of our job has to stop before we do: its tracer must be
 * awake to see it stop.  And how long a Ctrl-C waits for the second one. */
enum { SUSPEND_MS = 50, AGAIN_MS = 3000 };

void session_take_leave(struct session *s)
{
	struct signal_event event;

	while (detacher_next(&s->detacher, &event)) {
		if (event.action == SIGNAL_LEAVE_FAILED)
			s->left_by = event.signo;
		session_leave(s);
	}
}

/*
 * Ctrl-C.  Hours may be in the capture, so at a terminal it first ends what is smaller: output
 * (detacher.h), a `wait`, a half-typed line; and then it takes two.
 */
static void on_interrupt(struct session *s)
{
	int64_t now = clock_ms();

	if (s->in_shell)
		return; /* it has its own copy */
	if (s->state != RUNNING || !session_has_user(s)) {
		session_leave(s);
	} else if (s->waiting) {
		s->waiting = false;
	} else if (!s->console || !console_cancel(s->console)) {
		if (s->warned_ms && now - s->warned_ms < AGAIN_MS) {
			session_leave(s);
			return;
		}
		s->warned_ms = now;
		output_begin(&s->output);
		fputs("Ctrl-C again detaches and reports\n", s->output.out);
		output_end(&s->output);
	}
}

void session_signal(struct session *s, const struct signal_event *event)
{
	switch (event->action) {
	case SIGNAL_NOTHING:
		break;
	case SIGNAL_INTERRUPT:
		on_interrupt(s);
		break;
	case SIGNAL_LEAVE:
	case SIGNAL_LEAVE_FAILED:
		if (s->state < LEAVING && event->action == SIGNAL_LEAVE_FAILED)
			s->left_by = event->signo;
		s->looked = true; /* at once: no look */
		session_leave(s);
		break;
	case SIGNAL_PASS:
	case SIGNAL_SUSPEND:
		if (!event->shared)
			capture_signal(s->capture, event->signo);
		if (event->action == SIGNAL_SUSPEND)
			s->due[TIMER_SUSPEND] = clock_ms() + SUSPEND_MS;
		break;
	case SIGNAL_STAY:
		if (s->in_shell)
			break; /* it was for that command, which ignores it */
		output_log(&s->output, "memtrace can't be suspended while it is attached: the "
				       "process would stop with it");
		break;
	case SIGNAL_RESUMED:
		session_resume(s);
		break;
	case SIGNAL_RESIZED:
		if (s->console)
			console_resize(s->console);
		break;
	case SIGNAL_REPORT:
		session_report_now(s);
		break;
	}
}
