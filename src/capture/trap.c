/*
 * From a stop in a stub to an event of the book.
 *
 * Where things lie at the trap is described in arch.h (struct stub_area).  One read
 * of the registers and, at allocations, one read of the stack is all that a stop
 * costs; a free needs no stack at all.
 */
#include <inttypes.h>
#include <sys/prctl.h>

#include "capture/engine.h"

enum { UNKNOWN_RESCAN_MS = 100 };

struct engine_thread *engine_thread(struct thread *thread)
{
	if (!thread->owner)
		thread->owner = calloc(1, sizeof(struct engine_thread));
	return thread->owner;
}

static uint64_t product(uint64_t a, uint64_t b)
{
	uint64_t size;
	return __builtin_mul_overflow(a, b, &size) ? 0 : size;
}

/* The program uses code that we know no module of: it may have mapped one since.  True:
 * what is mapped was looked at anew. */
static bool unknown_pc_rescan(struct engine *engine)
{
	uint64_t now = engine_now(engine);
	bool changed = false;

	engine->walker.unknown_pc = false;
	if (now * 10 - engine->rescan_ms < UNKNOWN_RESCAN_MS && engine->rescan_ms)
		return false;
	engine->rescan_ms = now * 10;
	return engine_rescan_modules(engine, &changed, NULL) == 0;
}

/* Was the function called from within a stub?  The program never had such a stack. */
static bool is_nested(struct engine *engine, taddr_t slot)
{
	uint64_t caller;

	return walker_word(&engine->walker, slot, &caller) ||
	       undo_covers(engine->undo, caller & ~engine->tracee.arch->state_mask);
}

/* For the tests: what was walked, on its way to other unwinders and other machines. */
static void record(struct engine *engine, struct thread *thread, const struct regs *regs,
		   taddr_t slot, size_t count, enum walk_end end)
{
	struct err err = {0};

	if ((!engine->recorder.file && !engine->cases.dir) || is_nested(engine, slot))
		return;
	if (engine->recorder.file)
		recorder_sample(&engine->recorder, &engine->tracee, &engine->modules,
				&engine->maps, thread->tid, regs, slot, engine->frames, count,
				end);
	if (engine->cases.dir && case_record(&engine->cases, &engine->walker, regs, slot,
					     engine->frames, count, end, &err))
		engine_warn(engine, "%s", err.text);
}

static uint32_t context_of(struct engine *engine, struct thread *thread,
			   const struct regs *regs, taddr_t slot, const struct hook *hook)
{
	size_t max = engine->options.depth, count;
	frame_t leaf = hook->frame; /* (a rescan may move the hook) */
	enum walk_end end;

	count = walker_walk(&engine->walker, regs, slot, leaf, engine->frames, max, &end);
	if (engine->walker.unknown_pc && unknown_pc_rescan(engine)) {
		walker_read_stack(&engine->walker, slot);
		count = walker_walk(&engine->walker, regs, slot, leaf, engine->frames, max,
				    &end);
	}
	record(engine, thread, regs, slot, count, end);
	return region_context(engine->region, &engine->space, engine->frames, count, end);
}

struct trapped { /* a thread at the return side of a stub */
	uint64_t argument[3];
	uint64_t result;
	taddr_t slot; /* where the return address lies */
};

static bool trapped_read(struct engine *engine, const struct regs *regs, struct trapped *ret)
{
	const struct arch *arch = engine->tracee.arch;
	taddr_t sp = regs_read(arch, regs, arch->reg_sp);
	struct walker *walker = &engine->walker;

	if (walker_read_stack(walker, sp) ||
	    walker_word(walker, sp + (taddr_t)arch->trap_result, &ret->result))
		return false;
	for (unsigned i = 0; i < 3; i++)
		if (walker_word(walker, sp + (taddr_t)arch->trap_args + i * arch->word_size,
				&ret->argument[i]))
			return false;
	ret->slot = sp + (taddr_t)arch->trap_frame;
	return true;
}

static void trap_return(struct engine *engine, struct thread *thread, const struct hook *hook,
			const struct regs *regs)
{
	struct book_thread *book = &engine_thread(thread)->book;
	uint64_t size = 0;
	uint32_t context = 0;
	struct trapped at;
	bool again;

	if (!trapped_read(engine, regs, &at)) {
		if (!thread_was_killed(thread)) /* its memory may be gone then */
			region_lost(engine->region);
		return;
	}
	again = hook->function->call == CALL_REALLOC ||
		hook->function->call == CALL_REALLOCARRAY;
	switch (hook->function->call) {
	case CALL_ALLOC:
		size = at.argument[hook->function->size];
		break;
	case CALL_CALLOC:
		size = product(at.argument[0], at.argument[1]);
		break;
	case CALL_POSIX_ALIGN:
		size = at.argument[2];
		if ((uint32_t)at.result) /* an int: the error */
			at.result = 0;
		else if (walker_word(&engine->walker, at.argument[0], &at.result))
			at.result = 0;
		break;
	case CALL_REALLOC:
		size = at.argument[1];
		break;
	case CALL_REALLOCARRAY:
		/* An overflow fails without touching the block: not "realloc to 0". */
		size = product(at.argument[1], at.argument[2]);
		size = !size && at.argument[1] && at.argument[2] ? UINT64_MAX : size;
		break;
	default:
		return;
	}
	if (at.result)
		context = context_of(engine, thread, regs, at.slot, hook);
	if (again)
		book_realloc_return(&engine->book, book, at.slot, at.argument[0], at.result,
				    size, context, engine_now(engine));
	else
		book_alloc(&engine->book, book, at.result, size, context, engine_now(engine));
}

/* Does the function stand in the allocator's own code?  (glibc's reallocarray is a file of its
 * own, with others' between.) */
static bool is_core(const struct function *function)
{
	return function->call <= CALL_FREE && function->call != CALL_REALLOCARRAY;
}

/*
 * A call that comes from between the first and the last entry point of the same
 * allocator is the allocator's own and not the program's: glibc frees what a thread
 * left in its cache when the thread ends (malloc/arena.c, __malloc_arena_thread_freeres).
 */
static bool is_allocators_own(struct engine *engine, const struct hook *hook, taddr_t slot)
{
	taddr_t lowest = hook->address, highest = hook->address;
	uint64_t caller;

	if (walker_read_stack(&engine->walker, slot) ||
	    walker_word(&engine->walker, slot, &caller))
		return false;
	for (size_t i = 0; i < engine->hooks.list.len; i++) {
		const struct hook *other = &engine->hooks.list.at[i];

		if (other->instance != hook->instance || !is_core(other->function))
			continue;
		lowest = other->address < lowest ? other->address : lowest;
		highest = other->address > highest ? other->address : highest;
	}
	return caller > lowest && caller < highest;
}

static void trap_free(struct engine *engine, struct thread *thread, const struct hook *hook,
		      taddr_t slot, taddr_t block)
{
	/* Only a block that we don't know is worth the look at the stack. */
	if (block && !region_find(engine->region, block) &&
	    is_allocators_own(engine, hook, slot))
		return;
	book_free(&engine->book, &engine_thread(thread)->book, block);
}

static void trap_entry(struct engine *engine, struct thread *thread, const struct hook *hook,
		       const struct regs *regs)
{
	const struct arch *arch = engine->tracee.arch;
	taddr_t slot = regs_read(arch, regs, arch->reg_sp) + (taddr_t)arch->trap_entry_frame;
	taddr_t block = regs_read(arch, regs, arch->trap_arg0);

	if (hook->function->call == CALL_LOADER)
		engine_loader(engine);
	else if (hook->function->call == CALL_SIGACTION)
		engine_sigaction(engine, (int)block);
	else if (hook->function->call == CALL_PRCTL || hook->function->call == CALL_SECCOMP)
		engine_filter(engine,
			      hook->function->call == CALL_PRCTL ? (int)block : PR_SET_SECCOMP);
	else if (hook->function->call == CALL_FREE)
		trap_free(engine, thread, hook, slot, block);
	else
		book_realloc_entry(&engine->book, &engine_thread(thread)->book, slot, block);
}

void engine_trap(struct engine *engine, struct thread *thread)
{
	const struct arch *arch = engine->tracee.arch;
	struct regs *regs = thread_regs(&engine->tracee, thread);
	const struct hook *hook;
	bool entry;

	if (!regs || !engine_thread(thread))
		return;
	hook = hooks_by_site(&engine->hooks, regs_read(arch, regs, arch->trap_site), &entry);
	if (!hook)
		return; /* its module is gone, or the stub is a predecessor's */
	if (entry)
		trap_entry(engine, thread, hook, regs);
	else
		trap_return(engine, thread, hook, regs);
}
