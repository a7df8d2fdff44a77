/* Counting without anybody to ask; see alone.h. */
#include "agent/alone.h"

#include "region/counters.h"
#include "region/interned.h"
#include "region/known.h"
#include "region/live.h"

enum { LOADER_DELETES = 2 }; /* RT_DELETE of <link.h> */

static struct shared_alone *alone(const struct shared *shared)
{
	return &shared_taken(shared)->alone;
}

void alone_unresolved(const struct shared *shared, uint64_t size)
{
	atom_add64_of_many(&alone(shared)->allocs, 1);
	atom_add64_of_many(&alone(shared)->bytes, size);
}

static ALONE void unkept(const struct shared *shared)
{
	atom_add64_of_many(&alone(shared)->unkept, 1);
}

static ALONE struct shared_counters *counters(const struct shared *shared, uint32_t context)
{
	return context && context < SHARED_CONTEXTS ? counters_of(shared, KNOWN_NONE, context)
						    : NULL;
}

static ALONE void count_freed(const struct shared *shared, uint32_t context, uint64_t size,
			uint32_t level)
{
	uint64_t by = sample_weight(level, size);
	struct shared_counters *c = counters(shared, context);

	if (!c) {
		unkept(shared);
		return;
	}
	atom_add64_of_many(&c->freed_bytes, by * size);
	atom_add64_of_many(&c->frees, by);
}

static ALONE void count_allocated(struct shared_counters *c, uint64_t by, uint64_t size)
{
	atom_add64_of_many(&c->allocated_bytes, by * size);
	atom_add64_of_many(&c->allocs, by);
}

/* What was noted at the address that a call returns is of a call within that one: it is taken back. */
static ALONE void inner_forget(const struct shared *shared, uint64_t addr)
{
	struct live_block inner;
	struct shared_counters *c;

	if (!live_find(shared, addr, &inner))
		return;
	live_remove(&inner);
	c = inner.context == LIVE_ELSEWHERE ? NULL : counters(shared, inner.context);
	if (c)
		count_allocated(c, -(uint64_t)sample_weight(inner.level, inner.size), inner.size);
}

/* What was chosen of the allocation (shared_thread: selected): the level; 0: it stands for itself.
 * *passed: it does not count. */
static ALONE uint32_t level_of(const struct shared *shared, const struct agent_call *call, bool *passed)
{
	uint32_t number = known_thread(shared, call->pointer);
	struct shared_thread *own = number == KNOWN_NONE ? NULL : known_thread_at(shared, number);
	uint64_t selected = own ? own->selected : 0;

	*passed = selected == (call->slot | SHARED_PASSED);
	if (*passed || (selected && selected == call->slot))
		atom_store64(&own->selected, 0);
	return selected && selected == call->slot ? own->sampler.level : 0;
}

static ALONE void allocated(const struct shared *shared, const struct agent_call *call, frame_t leaf,
		      uint64_t size)
{
	bool passed;
	const struct live_block block = {.addr = call->result,
					 .size = size,
					 .context = interned_context(shared, &leaf, 1, WALK_ALONE),
					 .age = atom_load32(&shared_told(shared)->age),
					 .level = level_of(shared, call, &passed)};
	uint64_t by = sample_weight(block.level, size), *place;
	struct shared_counters *c = counters(shared, block.context);

	inner_forget(shared, block.addr);
	if (passed || size < shared_told(shared)->min_size)
		return;
	place = live_place(shared, block.addr, size);
	if (!c || !place) {
		unkept(shared);
		return;
	}
	count_allocated(c, by, size);
	if (live_note_aged(shared, place, &block)) {
		alone_unresolved(shared, size);
	} else {
		count_allocated(c, -by, size);
		unkept(shared);
	}
}

bool alone_inner(const struct shared *shared, uint64_t addr)
{
	uint64_t *place = live_place(shared, addr, 0);

	return place && live_note(shared, place, addr, LIVE_ELSEWHERE, 0);
}

static ALONE void freed(const struct shared *shared, uint64_t addr)
{
	struct live_block block;

	if (!live_find(shared, addr, &block)) {
		if (!shared_told(shared)->selects)
			atom_add64_of_many(&alone(shared)->frees, 1);
		return;
	}
	live_remove(&block);
	if (block.context != LIVE_ELSEWHERE)
		count_freed(shared, block.context, block.size, block.level);
}

/* The realloc that this thread is in has taken the block; NULL: none that the call is part of. */
static ALONE struct shared_pending *pending_of(const struct shared *shared,
					 const struct agent_call *call)
{
	uint32_t number = known_thread(shared, call->pointer);
	struct shared_pending *pending =
		number == KNOWN_NONE ? NULL : &known_thread_at(shared, number)->pending;

	return pending && pending->addr == call->argument[0] && pending->slot >= call->slot ? pending
											    : NULL;
}

/* Without a result the block lives on, but was counted as freed when the call began. */
static ALONE void reallocated(const struct shared *shared, const struct agent_call *call, frame_t leaf,
			uint64_t size)
{
	struct shared_pending *pending = pending_of(shared, call);

	if (pending && atom_replace64(&pending->slot, call->slot, 0) && pending->context)
		count_freed(shared, pending->context, pending->size, pending->level);
	if (call->result)
		allocated(shared, call, leaf, size);
	else if (size && call->argument[0])
		unkept(shared);
}

static bool is_deleting(const struct shared *shared)
{
	uint64_t at = shared_told(shared)->loader_state;

	return !at || *(const volatile uint32_t *)(uintptr_t)at == LOADER_DELETES;
}

void alone_call(const struct shared *shared, const struct agent_call *call)
{
	const struct shared_hook *hook = shared_hook(shared, call->hook);
	const uint64_t *argument = call->argument;
	bool entered = call->hook & SHARED_ENTERED;

	switch ((enum shared_kind)hook->kind) {
	case SHARED_ALLOC:
		if (call->result)
			allocated(shared, call, hook->frame, argument[hook->size % 3]);
		break;
	case SHARED_CALLOC:
		if (call->result)
			allocated(shared, call, hook->frame, argument[0] * argument[1]);
		break;
	case SHARED_ALIGN: /* where it was written may be anywhere */
		if (!(uint32_t)call->result)
			unkept(shared);
		break;
	case SHARED_FREE:
		if (argument[0] && !pending_of(shared, call))
			freed(shared, argument[0]);
		break;
	case SHARED_REALLOC:
	case SHARED_REALLOCARRAY:
		if (!entered)
			reallocated(shared, call, hook->frame,
				    argument[1] * (hook->kind == SHARED_REALLOC ? 1 : argument[2]));
		else if (argument[0] && !pending_of(shared, call))
			freed(shared, argument[0]);
		break;
	case SHARED_LOADER:
		if (is_deleting(shared))
			atom_store32(&shared_taken(shared)->moved, 1);
		break;
	case SHARED_SLOW:
	default:
		break;
	}
}
