/* Patches can always be put back, stubs only when they are empty; see put_back.h. */
#include "tracer/put_back.h"

#include "tracer/inside.h"

struct putting {
	struct tracee *tracee;
	struct thread *only;
	const struct undo *undo;
};

static bool is_inside(void *arg)
{
	const struct putting *p = arg;

	return p->only ? inside_thread(p->tracee, p->only, p->undo) : inside_any(p->tracee, p->undo);
}

bool put_back_stubs(struct tracee *tracee, struct thread *only, const struct undo *undo)
{
	struct putting putting = {tracee, only, undo};

	if (is_inside(&putting))
		return false;
	undo_wipe(undo, &tracee->target);
	return true;
}

bool put_back_all(struct tracee *tracee, struct thread *only, const struct undo *undo)
{
	struct putting putting = {tracee, only, undo};

	return undo_all(undo, &tracee->target, is_inside, &putting);
}
