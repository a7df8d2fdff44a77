/* Who has to know that a module has come or gone; see mappings.h. */
#include "capture/mappings.h"

int mappings_update(struct engine *engine, struct err *err)
{
	struct program *program = &engine->program;
	bool changed = false;
	int rc = program_update(program, &engine->tracee, &engine->notifier, &changed, err);

	if (rc || !changed)
		return rc;
	ledger_modules_changed(&engine->ledger, tracee_alive(&engine->tracee));
	hooks_forget_unmapped(&engine->hooks);
	return 0;
}
