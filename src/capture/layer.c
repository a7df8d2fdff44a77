/* Who is an allocator's own caller, or a layer's; see layer.h. */
#include "capture/layer.h"

#include <string.h>

#include "capture/context.h"
#include "capture/thread_data.h"
#include "hook/entries.h"

/* Is the function in the allocator's own code?  (glibc's reallocarray is a file of its
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
static bool is_allocators_own(const struct engine *engine, const struct call *call,
			      taddr_t caller)
{
	taddr_t lowest = call->address, highest = call->address;

	for (size_t i = 0; i < engine->hooks.list.len; i++) {
		const struct hook *other = &engine->hooks.list.at[i];

		if (other->instance != call->instance || !is_core(other->function))
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
	struct entries entries = {.module = module,
				  .arch = engine->tracee.arch,
				  .externals = &engine->program.externals};
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

bool layer_is_free_of(struct engine *engine, struct thread *thread, const struct call *call)
{
	const struct thread_data *own = thread_data(thread);
	struct walker *walker = &engine->ledger.walker;
	struct module *module;
	uint64_t caller;

	if (own->book.last_free && own->free_slot == call->slot &&
	    own->free_by != call->instance)
		return true;
	if (walker_read_stack(walker, call->slot) || walker_word(walker, call->slot, &caller))
		return false;
	caller &= engine->tracee.arch->code_mask;
	if (is_allocators_own(engine, call, caller))
		return true;
	module = modules_find(&engine->program.modules, caller);
	if (module && module->instance != call->instance && is_layer(engine, module))
		return true;
	return context_walk(engine, thread, call, NULL);
}
