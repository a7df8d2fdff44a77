/*
 * What a session waits in: the terminal, if that is ours, and commands that take their time.
 *
 * A command that waits must not stop the session, so the loop goes on in it, one step at a time
 * (session.c, which calls the commands, sets `step`).
 */
#include <unistd.h>

#include "base/clock.h"
#include "cli/session_parts.h"

enum { JOB_MS = 500 };

/* The terminal may become ours, or another job's; nobody tells a job that runs
 * in the background when that changes, so it looks from time to time. */
void session_watch_terminal(struct session *s)
{
	s->due[TIMER_JOB] = console_fd(s->console) < 0 ? clock_ms() + JOB_MS : 0;
}

void session_resume(struct session *s)
{
	if (!s->console)
		return;
	console_resume(s->console);
	session_watch_terminal(s);
}

bool session_wants_console(const struct options *o)
{
	return o->pid ? !o->batch && !o->duration_ms : o->interactive;
}

bool session_has_user(const struct session *s)
{
	return s->console ? console_is_interactive(s->console)
			  : session_wants_console(s->options) && isatty(STDIN_FILENO);
}

void session_step(struct session *s)
{
	s->step(s);
}

/* Until the time is over, the session ends, or a Ctrl-C comes. */
void session_wait(struct session *s, uint64_t ms)
{
	s->waiting = true;
	s->due[TIMER_WAIT] = clock_ms() + ms;
	detacher_output_end(&s->detacher); /* here Ctrl-C is taken at once */
	while (s->waiting && s->state == RUNNING)
		session_step(s);
	s->waiting = false;
	s->due[TIMER_WAIT] = 0;
}
