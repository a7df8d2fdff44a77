/*
 * From a stop in a stub to an event of the book.
 *
 * Where things lie at the trap is described in arch/trap.h (struct stub_area).  One read
 * of the registers and, at allocations, one read of the stack is all that a stop
 * costs; a free needs no stack at all.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/prctl.h>

#include "capture/engine.h"
#include "hook/entries.h"

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

/* For the tests: what was walked, on its way to other unwinders and other machines; the
 * program never had a stack with a stub in it. */
static void record(struct engine *engine, struct thread *thread, const struct regs *regs,
		   taddr_t slot, size_t count, enum walk_end end)
{
	struct err err = {0};

	if (engine->walker.nested || count < 2)
		return;
	if (engine->recorder.file)
		recorder_sample(&engine->recorder, &engine->tracee, &engine->modules,
				&engine->maps, thread->tid, regs, slot, engine->frames, count,
				end);
	if (engine->cases.dir && case_record(&engine->cases, &engine->walker, regs, slot,
					     engine->frames, count, end, &err))
		engine_warn(engine, "%s", err.text);
}

/* The stack of a call into engine->frames, also beyond the depth that is kept: it tells
 * whether the call is within another one.  Returns how many are kept. */
static size_t walk(struct engine *engine, const struct regs *regs, taddr_t slot,
		   const struct hook *hook, enum walk_end *end)
{
	size_t depth = engine->options.depth, count;
	size_t max = depth > WALKER_NESTED ? depth : WALKER_NESTED;
	frame_t leaf = hook->frame; /* (a rescan may move the hook) */

	count = walker_walk(&engine->walker, regs, slot, leaf, engine->frames, max, end);
	if (engine->walker.unknown_pc && unknown_pc_rescan(engine)) {
		walker_read_stack(&engine->walker, slot);
		count = walker_walk(&engine->walker, regs, slot, leaf, engine->frames, max,
				    end);
	}
	if (count <= depth)
		return count;
	*end = WALK_DEPTH;
	return depth;
}

/* Where the call came from: its context, unless it is nested. */
static void look_at_stack(struct engine *engine, struct thread *thread,
			  const struct regs *regs, taddr_t slot, const struct hook *hook,
			  struct book_event *event)
{
	enum walk_end end;
	size_t count = walk(engine, regs, slot, hook, &end);

	event->nested = engine->walker.nested;
	if (event->nested)
		return;
	if (engine->recorder.file || engine->cases.dir)
		record(engine, thread, regs, slot, count, end);
	if (event->result)
		event->context = region_context(engine->region, &engine->space, engine->frames,
						count, end);
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
	    walker_word(walker, sp + (taddr_t)arch->trap->result, &ret->result))
		return false;
	for (unsigned i = 0; i < 3; i++)
		if (walker_word(walker, sp + (taddr_t)arch->trap->args + i * arch->word_size,
				&ret->argument[i]))
			return false;
	ret->slot = sp + (taddr_t)arch->trap->frame;
	return true;
}

/* Size and result of the call that returned. */
static void event_read(struct engine *engine, const struct function *function,
		       const struct trapped *at, struct book_event *ret)
{
	ret->result = at->result;
	switch (function->call) {
	case CALL_ALLOC:
		ret->size = at->argument[function->size];
		break;
	case CALL_CALLOC:
		ret->size = product(at->argument[0], at->argument[1]);
		break;
	case CALL_POSIX_ALIGN:
		ret->size = at->argument[2];
		if ((uint32_t)at->result || /* an int: the error */
		    walker_word(&engine->walker, at->argument[0], &ret->result))
			ret->result = 0;
		break;
	case CALL_REALLOC:
		ret->size = at->argument[1];
		break;
	case CALL_REALLOCARRAY:
		/* An overflow fails without touching the block: not "realloc to 0". */
		ret->size = product(at->argument[1], at->argument[2]);
		if (!ret->size && at->argument[1] && at->argument[2])
			ret->size = UINT64_MAX;
		break;
	default:
		break;
	}
}

static void trap_return(struct engine *engine, struct thread *thread, const struct hook *hook,
			const struct regs *regs)
{
	struct book_thread *book = &engine_thread(thread)->book;
	struct book_event event = {.now = engine_now(engine)};
	bool again = hook->function->call == CALL_REALLOC ||
		     hook->function->call == CALL_REALLOCARRAY;
	struct trapped at;

	if (!trapped_read(engine, regs, &at)) {
		if (!thread_was_killed(thread)) /* its memory may be gone then */
			region_lost(engine->region);
		return;
	}
	event_read(engine, hook->function, &at, &event);
	if (event.result || (again && !event.size))
		look_at_stack(engine, thread, regs, at.slot, hook, &event);
	if (again)
		book_realloc_return(&engine->book, book, at.slot, at.argument[0], &event);
	else
		book_alloc(&engine->book, book, &event);
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
static bool is_allocators_own(const struct engine *engine, const struct hook *hook,
			      taddr_t caller)
{
	taddr_t lowest = hook->address, highest = hook->address;

	for (size_t i = 0; i < engine->hooks.list.len; i++) {
		const struct hook *other = &engine->hooks.list.at[i];

		if (other->instance != hook->instance || !is_core(other->function))
			continue;
		lowest = other->address < lowest ? other->address : lowest;
		highest = other->address > highest ? other->address : highest;
	}
	return caller > lowest && caller < highest;
}

/* Has the module a free() of its own in front of the C library's?  What it gives to another
 * one's is its allocator's. */
static bool is_layer(struct engine *engine, struct module *module)
{
	struct entries entries = {
		.module = module, .arch = engine->tracee.arch, .externals = &engine->externals};
	struct image_symbol symbol;

	if (entries_find(&entries, "__libc_start_main", &symbol))
		return false;
	for (size_t i = 0; i < engine->hooks.list.len; i++) {
		const struct hook *hook = &engine->hooks.list.at[i];

		if (hook->instance == module->instance &&
		    strcmp(hook->function->name, "free") == 0)
			return true;
	}
	return false;
}

/*
 * Is a free of a block that nobody knows a layer's, and not the program's?  The table has no
 * trace of what was allocated before we came, so it is asked who calls:
 *  - a function that another module's free() jumped to as its last act has that one's return
 *    address, at the same place;
 *  - the allocator itself, or a layer above it: then or later, in any thread;
 *  - anybody below a function of an allocator that is watched to its end.
 */
static bool is_layers_free(struct engine *engine, struct thread *thread,
			   const struct hook *hook, const struct regs *regs, taddr_t slot)
{
	const struct engine_thread *own = engine_thread(thread);
	struct module *module;
	enum walk_end end;
	uint64_t caller;

	if (own->book.last_free && own->free_slot == slot && own->free_by != hook->instance)
		return true;
	if (walker_read_stack(&engine->walker, slot) ||
	    walker_word(&engine->walker, slot, &caller))
		return false;
	caller &= engine->tracee.arch->code_mask;
	if (is_allocators_own(engine, hook, caller))
		return true;
	module = modules_find(&engine->modules, caller);
	if (module && module->instance != hook->instance && is_layer(engine, module))
		return true;
	walk(engine, regs, slot, hook, &end);
	return engine->walker.nested;
}

struct taken_search {
	struct engine *engine;
	struct thread *thread;
	taddr_t block;
	bool found;
};

static void look_at_pending(void *arg, struct thread *other)
{
	struct taken_search *s = arg;

	if (!s->found && other != s->thread && other->owner)
		s->found = book_free_taken(&s->engine->book, &engine_thread(s->thread)->book,
					   &engine_thread(other)->book, s->block);
}

/* Does the block belong to a thread that ended within realloc, of which we are yet to hear? */
static bool is_taken(struct engine *engine, struct thread *thread, taddr_t block)
{
	struct taken_search search = {engine, thread, block, false};

	tracee_for_each(&engine->tracee, look_at_pending, &search);
	return search.found;
}

static void trap_free(struct engine *engine, struct thread *thread, const struct hook *hook,
		      const struct regs *regs, taddr_t slot, taddr_t block)
{
	struct engine_thread *own = engine_thread(thread);
	enum book_free is = book_free(&engine->book, &own->book, block);

	if (is == BOOK_PART)
		return;
	if (is == BOOK_UNKNOWN && !is_taken(engine, thread, block)) {
		if (is_layers_free(engine, thread, hook, regs, slot))
			return;
		book_free_unknown(&engine->book, &own->book, block);
	}
	own->free_slot = slot;
	own->free_by = hook->instance;
}

/* prctl()'s; those that can't be read are 0. */
static void prctl_arguments(struct engine *engine, const struct regs *regs, uint64_t ret[4])
{
	const struct arch *arch = engine->tracee.arch;
	taddr_t sp = regs_read(arch, regs, arch->reg_sp);

	walker_read_stack(&engine->walker, sp);
	for (unsigned i = 0; i < 4; i++) {
		taddr_t at = i == 3 ? sp + (taddr_t)arch->trap->arg3
				    : sp + (taddr_t)arch->trap->entry_args +
					      i * arch->word_size;

		ret[i] = 0;
		walker_word(&engine->walker, at, &ret[i]);
	}
	ret[0] = regs_read(arch, regs, arch->trap->arg0);
}

static void trap_entry(struct engine *engine, struct thread *thread, const struct hook *hook,
		       const struct regs *regs)
{
	const struct arch *arch = engine->tracee.arch;
	taddr_t slot = regs_read(arch, regs, arch->reg_sp) + (taddr_t)arch->trap->entry_frame;
	taddr_t block = regs_read(arch, regs, arch->trap->arg0);
	uint64_t prctl[4] = {PR_SET_SECCOMP};

	switch (hook->function->call) {
	case CALL_LOADER:
		engine_loader(engine);
		break;
	case CALL_SIGACTION:
		engine_sigaction(engine, (int)block);
		break;
	case CALL_PRCTL:
		prctl_arguments(engine, regs, prctl);
		/* fall through */
	case CALL_SECCOMP: /* seccomp_load(): as if by prctl() */
		engine_prctl(engine, prctl);
		break;
	case CALL_PTRACE:
		engine_ptrace(engine, thread, (long)block);
		break;
	case CALL_FREE:
		trap_free(engine, thread, hook, regs, slot, block);
		break;
	default:
		book_realloc_entry(&engine->book, &engine_thread(thread)->book, slot, block);
	}
}

void engine_trap(struct engine *engine, struct thread *thread)
{
	const struct arch *arch = engine->tracee.arch;
	struct regs *regs = thread_regs(&engine->tracee, thread);
	const struct hook *hook;
	bool entry;

	if (!regs || !engine_thread(thread))
		return;
	hook = traps_hook_at(&engine->traps, regs_read(arch, regs, arch->trap->site), &entry);
	if (!hook)
		return; /* its module is gone, or the stub is a predecessor's */
	if (entry)
		trap_entry(engine, thread, hook, regs);
	else
		trap_return(engine, thread, hook, regs);
}
