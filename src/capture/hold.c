/* What a tracee needs of the engine: who takes its stops, and tells it of frames. */
#include "capture/hold.h"

#include <stdlib.h>

#include "capture/dispatcher.h"
#include "capture/frames.h"

void hold_tracee(struct engine *engine)
{
	struct tracee *tracee = &engine->tracee;

	program_limit(&engine->program, &tracee->target);
	engine->traced = true;
	tracee->handle = dispatch_stop;
	tracee->handle_arg = engine;
	tracee->forget = free;
	tracee->frames = frames_known;
	tracee->frames_arg = &engine->ledger.walker;
	guardian_watch(&engine->undoing.guardian, tracee->pid);
}
