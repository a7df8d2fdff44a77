/*
 * From a call to what it changes, or to the trap.
 *
 *    free    known thread? --> live block? --> its counters --> the entry is cleared, counted
 *    malloc  known thread? --> a place for the block? --> walk by known rows, to its root
 *            --> context --> its counters --> counted, the entry is written
 *    realloc, entered: known thread? --> live block? --> the entry is cleared, and kept with the
 *            thread: "pending"
 *    realloc, returned: the one that is pending? --> as malloc; what is pending is counted as
 *            freed.  Or, if it failed, the entry is written again
 *
 * Where not all allocations count (told->selects) those that do are chosen before all else, and an
 * address that is in no table is one of the others.
 *
 * All that may fail comes first; then follow single stores and additions, none of which fails.
 * Who is interrupted for ever between them has at worst a block that is counted, and in no table.
 *
 * The rules of the book (region/book.h) that hold without a look at anything else:
 *  - A free of a block that is there counts, wherever it comes from.
 *  - The same address freed again by the same thread, with nothing in between, is the rest of
 *    that call (delete -> free).
 *  - A call without a result means nothing.
 *  - What an inner call returns (its walk ends at a stub) is nobody's block, until an outer one
 *    returns it, too: realloc(NULL) calls malloc.  One such address is kept with the thread.
 *  - While a thread is in realloc, a free of the block that it took is part of it.
 * What else comes within a call of another one's is not known, nor is a block at an address that is
 * taken.
 */
#include "agent/agent.h"

#include "agent/alone.h"
#include "agent/choice.h"
#include "agent/pending.h"
#include "agent/remembered.h"

#include "region/counters.h"
#include "region/interned.h"
#include "region/known.h"
#include "region/live.h"
#include "region/walk_body.h"

struct walking {
	const struct shared *shared;
	uint64_t begin, end; /* what may be read */
};

static const struct row no_row; /* ROW_CFA_NONE: ends every walk as not known */

static inline __attribute__((always_inline)) const struct row *
row_of(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame)
{
	struct walking *walking = arg;
	const struct shared_pc *known =
		known_pc(walking->shared, pc & ~(uint64_t)AGENT_STATE_MASK, pc == lookup_pc);

	*frame = known ? known->frame : frame_of(FRAME_NOWHERE, 0);
	return known ? &known->row : &no_row;
}

static inline __attribute__((always_inline)) int read_word(void *arg, uint64_t addr,
							   uint64_t *ret)
{
	struct walking *walking = arg;

	if (addr < walking->begin || addr > walking->end - sizeof(agent_word))
		return -1;
	return agent_read(addr, ret) ? 0 : -1;
}

/* A pc that is not known is memtrace's.  (A row that was guessed leads here where it leads there.) */
static bool is_doubtful(const frame_t *frames, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (frame_instance(frames[i]) == FRAME_NOWHERE)
			return true;
	return false;
}

enum { NESTED = UINT32_MAX }; /* for a context: the call is within another one */

/* Does a walk that ended at a frame that is no usual one stand at a stub?  (A handler that
 * interrupts a call is the program's.) */
static bool is_nested(const frame_t *frames, size_t count, enum walk_end why)
{
	if (why != WALK_FULL || frame_instance(frames[count - 1]) != SHARED_STUB)
		return false;
	for (size_t i = 1; i < count; i++)
		if (frames[i] & FRAME_EXACT)
			return false;
	return !is_doubtful(frames, count);
}

/* No memtrace is there to be asked: a stack as far as it is known. */
static ALONE uint32_t context_alone(const struct shared *shared, const frame_t *frames, size_t count,
			      bool holds)
{
	size_t known = 1;

	while (holds && known < count && !is_doubtful(frames + known, 1))
		known++;
	return alone_is(shared) ? interned_context(shared, frames, known, WALK_ALONE) : 0;
}

/* The context of the call's stack; NESTED; 0: not known, or no room for it.  *whole: to its end.  (Small: most
 * stacks are remembered.) */
static __attribute__((noinline, cold)) uint32_t context_of(const struct shared *shared, uint64_t end,
						     const struct agent_call *call,
						     frame_t leaf, bool *whole)
{
	struct walking walking = {shared, call->slot, end};
	const struct walk_ops ops = {row_of,	       read_word,
				     &walking,	       sizeof(agent_word),
				     AGENT_CODE_MASK,      .no_chain = !AGENT_CHAINS,
				     .no_guess = true,
				     .first_sp = shared_told(shared)->first_sp};
	struct walk_regs start = {.sp = call->slot + sizeof(agent_word), .fp = call->fp};
	uint32_t depth = shared_told(shared)->depth;
	uint32_t max = depth < AGENT_NESTED ? AGENT_NESTED : depth;
	uint32_t sequence = known_sequence(shared);
	frame_t frames[AGENT_FRAMES];
	enum walk_end why;
	size_t count;

	frames[0] = leaf;
	*whole = false;
	if (!depth || max > AGENT_FRAMES || sequence % 2 || alone_moved(shared) ||
	    read_word(&walking, call->slot, &start.pc))
		return context_alone(shared, frames, 1, false);
	start.pc &= AGENT_CODE_MASK;
	count = 1 +
		walk_body_stack(&ops, walk_body_step, &start, false, frames + 1, max - 1, &why);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (known_sequence(shared) == sequence && is_nested(frames, count, why))
		return NESTED;
	if ((why != WALK_ROOT && why != WALK_DEPTH && why != WALK_NO_DATA) ||
	    is_doubtful(frames, count) || known_sequence(shared) != sequence)
		return context_alone(shared, frames, count < depth ? count : depth,
				     known_sequence(shared) == sequence);
	*whole = true;
	if (count > depth) {
		count = depth;
		why = WALK_DEPTH;
	}
	return interned_context(shared, frames, count, why);
}

/* The thread that makes the call. */
struct caller {
	uint32_t number;
	struct shared_thread *own;
	uint64_t end; /* of its stack */
};

/* True: it is known, and on its own stack, with room for what is called from here.  (So no two
 * write the same: of two threads that have one pointer at most one is on the stack.) */
static bool caller_find(const struct shared *shared, const struct agent_call *call,
			struct caller *ret)
{
	uint32_t number = known_thread(shared, call->pointer);
	const struct shared_place *place = known_place(shared, number);
	uint64_t low = number == KNOWN_NONE ? 0 : atom_load64(&place->low);

	if (!low || call->slot < low || call->slot - low < AGENT_STACK)
		return false;
	*ret = (struct caller){number, known_thread_at(shared, number),
			       atom_load64(&place->high)};
	return call->slot < ret->end && ret->end - call->slot >= sizeof(agent_word);
}

/* The rest of the call that has freed it?  (Where the table has no room for blocks, it may be
 * one that memtrace keeps.) */
static bool is_freed_again(const struct shared *shared, const struct shared_thread *own,
			   uint64_t addr)
{
	return atom_load64(&own->last_free) == addr &&
	       !shared_is_full(shared, SHARED_PART_PIECES) &&
	       !shared_is_full(shared, SHARED_PART_DIRECTORY) &&
	       !shared_is_full(shared, SHARED_PART_PLACE);
}

/* One that the program does not mean: the part of the realloc that has taken the block, or
 * of what an inner call has returned. */
static bool is_part(struct shared_thread *own, const struct agent_call *call)
{
	uint64_t addr = call->argument[0];

	if (own->pending.slot > call->slot && own->pending.addr == addr)
		return true;
	if (own->inner != addr)
		return false;
	atom_store64(&own->inner, 0);
	return true;
}

static void count_freed(struct shared_thread *own, struct shared_counters *counters, uint64_t size,
			uint32_t level)
{
	uint64_t by = level ? sample_weight(level, size) : 1;

	atom_add64(&counters->freed_bytes, by * size);
	atom_add64(&counters->frees, by);
	atom_add64(&own->frees, 1);
}

/* Not in the table, so it was not counted when it came?  (Not for certain where the table has no room.) */
static bool is_uncounted(const struct shared *shared)
{
	return atom_load32(&shared_told(shared)->selects) &&
	       !(atom_load32(&shared_taken(shared)->full) & SHARED_FULL_BLOCKS);
}

static bool uncounted_free(const struct shared *shared, struct shared_thread *own, uint64_t addr)
{
	if (own->last_alloc == addr)
		atom_store64(&own->last_alloc, 0);
	return is_uncounted(shared);
}

static bool call_free(const struct shared *shared, const struct caller *caller,
		      const struct agent_call *call)
{
	struct shared_thread *own = caller->own;
	uint64_t addr = call->argument[0];
	struct shared_counters *counters;
	struct live_block block;

	if (!addr)
		return true;
	if (!live_find(shared, addr, &block))
		return is_freed_again(shared, own, addr) || is_part(own, call) ||
		       uncounted_free(shared, own, addr);
	if (!block.context || block.context >= SHARED_CONTEXTS)
		return false; /* LIVE_ELSEWHERE */
	counters = counters_of(shared, caller->number, block.context);
	if (!counters)
		return false;
	live_remove(&block);
	count_freed(own, counters, block.size, block.level);
	atom_store64(&own->last_free, addr);
	atom_store64(&own->last_alloc, 0);
	atom_store64(&own->free_slot, call->slot);
	atom_store32(&own->free_hook, call->hook);
	return true;
}

/* ---- realloc --------------------------------------------------------------- */

static bool call_realloc_entry(const struct shared *shared, const struct caller *caller,
			       const struct agent_call *call)
{
	struct shared_pending *pending = &caller->own->pending;
	uint64_t addr = call->argument[0];
	struct live_block block = {.context = 0};

	if (addr && !live_find(shared, addr, &block) && !is_uncounted(shared))
		return false;
	if (block.entry && (!block.context || block.context >= SHARED_CONTEXTS))
		return false;
	if (!pending_claim(shared, pending, call->slot))
		return false;
	pending->addr = addr;
	pending->size = block.size;
	pending->context = block.context;
	pending->age = (uint16_t)block.age;
	pending->level = (uint16_t)block.level;
	if (block.context)
		live_remove(&block);
	pending_end(pending, call->slot);
	return true;
}

/* It has returned nothing: it failed, or was realloc(addr, 0). */
static bool realloc_failed(const struct shared *shared, const struct caller *caller,
			   uint64_t slot, uint64_t size)
{
	struct shared_pending *pending = &caller->own->pending;
	struct shared_counters *counters;

	if (size || !pending->addr || (!pending->context && is_uncounted(shared)))
		return pending_put_back(shared, pending, slot);
	counters = pending->context ? counters_of(shared, caller->number, pending->context) : NULL;
	if (!counters || !pending_begin(pending, slot))
		return false;
	count_freed(caller->own, counters, pending->size, pending->level);
	atom_store64(&caller->own->last_free, 0);
	pending_end(pending, 0);
	return true;
}

/* ---- allocations ----------------------------------------------------------- */

struct allocation {
	frame_t leaf;
	uint64_t addr, size;
	bool again; /* by the realloc that is pending */
	uint32_t level; /* of the sample that it is of; 0: it stands for itself */
};

static uint32_t allocation_context(const struct shared *shared, const struct caller *caller,
				   const struct agent_call *call, frame_t leaf, bool *whole)
{
	uint32_t context;

	*whole = true;
	if (!alone_moved(shared) &&
	    remembered_context(shared, caller->number, caller->end, call, leaf, &context))
		return context;
	return context_of(shared, caller->end, call, leaf, whole);
}

/* What the pending realloc frees, from now on this call's.  False: it is not the one, or there is no room. */
static bool old_begin(const struct shared *shared, const struct caller *caller, uint64_t slot,
		      struct shared_counters **counters)
{
	struct shared_pending *pending = &caller->own->pending;

	if (pending->context)
		*counters = counters_of(shared, caller->number, pending->context);
	return (*counters || !pending->addr || (!pending->context && is_uncounted(shared))) &&
	       pending_begin(pending, slot);
}

/* The thread has a block there, whose call is not within another one. */
static void allocated(struct shared_thread *own, uint64_t addr)
{
	if (own->inner == addr)
		atom_store64(&own->inner, 0);
	atom_store64(&own->last_alloc, addr);
	atom_store64(&own->last_free, 0);
}

/* Counted, and noted; false: another block, too close to it, has come there. */
static bool count_allocated(const struct shared *shared, struct shared_thread *own,
			    struct shared_counters *counters, uint64_t *place, uint32_t context,
			    const struct allocation *is)
{
	const struct live_block block = {.addr = is->addr,
					 .size = is->size,
					 .context = context,
					 .age = atom_load32(&shared_told(shared)->age),
					 .level = is->level};
	uint64_t by = is->level ? sample_weight(is->level, is->size) : 1;

	atom_add64(&counters->allocated_bytes, by * is->size);
	atom_add64(&counters->allocs, by);
	if (!live_note_aged(shared, place, &block)) {
		atom_add64(&counters->allocs, -by);
		atom_add64(&counters->allocated_bytes, -by * is->size);
		return false;
	}
	atom_add64(&own->allocs, 1);
	return true;
}

static bool count_alloc(const struct shared *shared, const struct caller *caller,
			const struct agent_call *call, const struct allocation *is)
{
	struct shared_thread *own = caller->own;
	struct shared_counters *counters = NULL, *freed = NULL;
	uint64_t *place = live_place(shared, is->addr, is->size);
	bool whole = true;
	uint32_t context = place ? allocation_context(shared, caller, call, is->leaf, &whole) : 0;

	if (context == NESTED) /* what an inner call returns: one of these is kept */
		return !is->again &&
		       (atom_claim64(&own->inner, is->addr) ||
			(alone_is(shared) && alone_inner(shared, is->addr)));
	counters = context ? counters_of(shared, caller->number, context) : NULL;
	if (!counters || (is->again && !old_begin(shared, caller, call->slot, &freed)))
		return false;
	if (!count_allocated(shared, own, counters, place, context, is)) {
		if (is->again)
			pending_end(&own->pending, call->slot);
		return false;
	}
	if (freed)
		count_freed(own, freed, own->pending.size, own->pending.level);
	if (is->again)
		pending_end(&own->pending, 0);
	if (!whole)
		alone_unresolved(shared, is->size);
	allocated(own, is->addr);
	return true;
}

/* It does not count: but what it has freed does. */
static ALONE bool pass(const struct shared *shared, const struct caller *caller,
		       const struct agent_call *call, const struct allocation *is)
{
	struct shared_thread *own = caller->own;
	struct shared_counters *freed = NULL;

	if (is->again && !old_begin(shared, caller, call->slot, &freed))
		return false;
	if (freed)
		count_freed(own, freed, own->pending.size, own->pending.level);
	if (is->again)
		pending_end(&own->pending, 0);
	allocated(own, is->addr);
	atom_store64(&own->selected, 0);
	return true;
}

static ALONE bool is_chosen(const struct shared *shared, const struct caller *caller,
			    const struct agent_call *call, struct allocation *is)
{
	struct choice choice = {is->addr, is->size, !is->again || call->argument[0] != is->addr, 0};
	bool chosen = choice_make(shared, caller->number, call, &choice);

	is->level = choice.level;
	return chosen;
}

static bool call_alloc(const struct shared *shared, const struct caller *caller,
		       const struct agent_call *call, const struct allocation *is)
{
	struct allocation chosen = *is;

	if (atom_load32(&shared_told(shared)->selects) &&
	    !is_chosen(shared, caller, call, &chosen))
		return pass(shared, caller, call, is);
	if (!count_alloc(shared, caller, call, &chosen))
		return false;
	if (chosen.level)
		atom_store64(&caller->own->selected, 0);
	return true;
}

/* The realloc that is pending returns a block; false: its entry was not known. */
static bool realloc_read(const struct caller *caller, const struct agent_call *call,
			 const struct shared_hook *hook, struct allocation *is)
{
	const struct shared_pending *pending = &caller->own->pending;

	is->again = true;
	is->size = call->argument[1];
	if (hook->kind == SHARED_REALLOCARRAY) /* (with a result, so the product is one) */
		is->size *= call->argument[2];
	return pending->slot == call->slot && pending->addr == call->argument[0];
}

/* What posix_memalign() has written; false: not on the caller's stack, where it may be read. */
static bool aligned_read(const struct caller *caller, const struct agent_call *call,
			 uint64_t *ret)
{
	struct walking walking = {NULL, call->slot, caller->end};

	*ret = 0;
	return (uint32_t)call->result /* an int: the error */ ||
	       !read_word(&walking, call->argument[0], ret);
}

static bool is_known(const struct shared *shared, const struct agent_call *call)
{
	const struct shared_hook *hook = shared_hook(shared, call->hook);
	struct allocation is = {.leaf = hook->frame, .addr = call->result};
	struct caller caller;

	if (!caller_find(shared, call, &caller))
		return false;
	switch ((enum shared_kind)hook->kind) {
	case SHARED_FREE:
		return call_free(shared, &caller, call);
	case SHARED_ALLOC:
		is.size = call->argument[hook->size < 3 ? hook->size : 0];
		break;
	case SHARED_CALLOC: /* (with a result, so the product is one) */
		is.size = call->argument[0] * call->argument[1];
		break;
	case SHARED_ALIGN:
		is.size = call->argument[2];
		if (!aligned_read(&caller, call, &is.addr))
			return false;
		break;
	case SHARED_REALLOC:
	case SHARED_REALLOCARRAY:
		if (call->hook & SHARED_ENTERED)
			return call_realloc_entry(shared, &caller, call);
		if (!realloc_read(&caller, call, hook, &is))
			return false;
		if (!is.addr)
			return hook->kind == SHARED_REALLOC &&
			       realloc_failed(shared, &caller, call->slot, is.size);
		break;
	default: /* SHARED_LOADER, SHARED_SLOW */
		return false;
	}
	return !is.addr || call_alloc(shared, &caller, call, &is);
}

bool agent_call(const struct shared *shared, const struct agent_call *call)
{
	bool known = is_known(shared, call);

	if (!known && alone_is(shared)) {
		alone_call(shared, call);
		known = true;
	}
	return known;
}
