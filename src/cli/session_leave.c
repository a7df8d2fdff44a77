/* Letting go of the process: the last look for leaks first, where one was asked for. */
#include <string.h>

#include "cli/session_parts.h"

void session_leave(struct session *s)
{
	if (s->state >= LEAVING)
		return;
	if (s->state == RUNNING)
		session_look_last(s, false);
	if (s->state >= LEAVING) /* it has ended meanwhile */
		return;
	s->state = LEAVING;
	memset(s->due, 0, sizeof(s->due));
	if (s->console)
		console_stop(s->console);
	detacher_detach(s->capture);
}
