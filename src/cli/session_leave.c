/* Letting go of the process: the last look for leaks first, where one was asked for. */
#include <string.h>

#include "cli/session_parts.h"

static void end(struct session *s)
{
	s->state = LEAVING;
	memset(s->due, 0, sizeof(s->due));
	if (s->console)
		console_stop(s->console);
}

int session_leave_behind(struct session *s, struct err *err)
{
	int rc = s->state == RUNNING ? capture_leave(s->capture, err) : 0;

	if (!rc)
		end(s);
	return rc;
}

void session_leave(struct session *s)
{
	if (s->state >= LEAVING)
		return;
	if (s->state == RUNNING)
		session_look_last(s, false);
	if (s->state >= LEAVING) /* it has ended meanwhile */
		return;
	end(s);
	detacher_detach(s->capture);
}
