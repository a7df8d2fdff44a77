/* Nothing of the old program is left; see exec.h. */
#include "capture/exec.h"

#include <string.h>

#include "capture/share.h"
#include "capture/trap_choice.h"
#include "capture/wanted.h"
#include "tracer/attach.h"
#include "tracer/left_sharers.h"

static void program_forget(struct engine *engine)
{
	struct tracee *tracee = &engine->tracee;
	struct err err;

	undo_clear(engine->undoing.undo);
	share_forget(engine);
	resident_forget(&engine->resident);
	engine->traps.agent = 0;
	engine->undoing.left = false;
	engine->undoing.sharer = 0;
	hooks_clear(&engine->hooks);
	engine->traps.hard = engine->traps.filtered = false;
	book_program_ended(&engine->ledger.book);
	missed_clear(&engine->notifier.missed);
	memset(&engine->pending, 0, sizeof(engine->pending));
	engine->looks.exiting = 0;
	tracee->own_breaks = false;
	target_close(&tracee->target);
	if (target_open_traced(&tracee->target, tracee->pid, &err))
		notify_warning(&engine->notifier, "%s", err.text);
	program_limit(&engine->program, &tracee->target);
}

void exec_begin(struct engine *engine)
{
	struct program *program = &engine->program;
	pid_t pid = engine->tracee.pid;
	char **command = status_command(pid);
	const char *name = command && command[0] ? command[0] : "?";
	struct err err;
	int rc = attach_check_machine(pid, &err);

	tracee_hand_out_children(&engine->tracee); /* by the old log */
	tracee_leave_sharers(&engine->tracee, engine->undoing.undo);
	program_forget(engine);
	if (rc) {
		err_set(&program->foreign, rc, "process %d now runs %s and is let go: %s", pid,
			name, err.text);
		free(command);
		return;
	}
	free(program->command);
	program->command = command;
	jit_names_clear(&program->jit);
	if (jit_objects_there())
		jit_objects_clear(&program->objects);
	program->runtime = NULL;
	program->own_heap = NULL;
	selection_forget(&engine->ledger.selection, &engine->ledger.book);
	ledger_clear(&engine->ledger, &engine->tracee);
	inherited_forget(&engine->inherited);
	engine->ledger.program_break = 0;
	trap_choice_signal(engine, 0);
	program->loading = true;
	engine->pending.set |= PENDING_MODULES;
	wanted_own(engine);
	notify(&engine->notifier, NOTICE_EXEC, "%s", name);
}
