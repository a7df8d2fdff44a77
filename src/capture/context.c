/*
 * The stack of a call, also beyond the depth that is kept: it tells whether the call is within
 * another one.
 */
#include "capture/context.h"

#include "base/clock.h"
#include "capture/generated.h"
#include "capture/mappings.h"

enum { UNKNOWN_PC_MS = 100 };

/* The program uses code that we know no module of: it may have mapped one since.  True:
 * what is mapped was looked at anew. */
static bool look_for_module(struct engine *engine)
{
	struct ledger *ledger = &engine->ledger;
	int64_t now = clock_ms();

	ledger->walker.unknown_pc = false;
	if (ledger->looked_ms && now - ledger->looked_ms < UNKNOWN_PC_MS)
		return false;
	ledger->looked_ms = now;
	if (mappings_update(engine, NULL))
		return false;
	generated_update(engine);
	ledger->looked_ms = clock_ms(); /* (a large file of names takes time: the thread stands) */
	return true;
}

/* For the tests: what was walked, on its way to other unwinders and other machines; the
 * program never had a stack with a stub in it. */
static void record(struct engine *engine, struct thread *thread, const struct call *call,
		   size_t count, enum walk_end end)
{
	const struct regs *regs = thread_regs(&engine->tracee, thread);
	struct ledger *ledger = &engine->ledger;
	const struct walked walked = {regs, call->slot, ledger->frames, count, end};
	struct err err = {0};

	if (!regs || count < 2)
		return;
	if (ledger->recorder.file)
		recorder_sample(&ledger->recorder, &ledger->walker, thread->tid, &walked);
	if (ledger->cases.dir &&
	    case_record(&ledger->cases, &ledger->walker, &walked, &err))
		notify_warning(&engine->notifier, "%s", err.text);
}

/* Returns how many frames there are. */
static size_t walk(struct engine *engine, struct thread *thread, const struct call *call,
		   enum walk_end *end)
{
	const struct regs *regs = thread_regs(&engine->tracee, thread);
	struct ledger *ledger = &engine->ledger;
	size_t max = ledger->depth > WALKER_NESTED ? ledger->depth : WALKER_NESTED;
	size_t count = walker_walk(&ledger->walker, regs, call->slot, call->frame,
				   ledger->frames, max, end);

	if (ledger->walker.unknown_pc && look_for_module(engine)) {
		walker_read_stack(&ledger->walker, call->slot);
		count = walker_walk(&ledger->walker, regs, call->slot, call->frame,
				    ledger->frames, max, end);
	}
	return count;
}

bool context_walk(struct engine *engine, struct thread *thread, const struct call *call,
		  uint32_t *context)
{
	struct ledger *ledger = &engine->ledger;
	enum walk_end end;
	size_t count = walk(engine, thread, call, &end);

	if (ledger->walker.nested)
		return true;
	if (count > ledger->depth) {
		count = ledger->depth;
		end = WALK_DEPTH;
	}
	if (call->entered)
		return false;
	if (ledger->recorder.file || ledger->cases.dir)
		record(engine, thread, call, count, end);
	if (context)
		*context = region_context(ledger->region, &ledger->space, ledger->frames, count,
					  end);
	return false;
}
