/* Patches can always be put back, stubs only when they are empty; see put_back.h. */
#include "tracer/put_back.h"

#include "tracer/inside.h"

bool put_back_stubs(struct tracee *tracee, struct thread *only, const struct undo *undo)
{
	if (only ? inside_thread(tracee, only, undo) : inside_any(tracee, undo))
		return false;
	undo_wipe(undo, &tracee->target);
	return true;
}

bool put_back_all(struct tracee *tracee, struct thread *only, const struct undo *undo)
{
	undo_run(undo, &tracee->target);
	return put_back_stubs(tracee, only, undo);
}
