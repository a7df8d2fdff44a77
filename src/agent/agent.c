/*
 * From a call to what it changes, or to the trap.
 *
 *    free    known thread? --> live block? --> its counters --> the entry is cleared, counted
 *    malloc  known thread? --> a place for the block? --> walk by known rows, to its root
 *            --> context --> its counters --> counted, the entry is written
 *
 * All that may fail comes first; then follow single stores and additions, none of which fails.
 *
 * The rules of the book (region/book.h) that hold without a look at anything else:
 *  - A free of a block that is there counts, wherever it comes from.
 *  - The same address freed again by the same thread, with nothing in between, is the rest of
 *    that call (delete -> free).
 *  - A call without a result means nothing.
 * A call within another one is not known: a stub's pc never has a row here.  Nor is a realloc,
 * nor a block at an address that is taken.
 */
#include "agent/agent.h"

#include "agent/remembered.h"

#include "region/counters.h"
#include "region/interned.h"
#include "region/known.h"
#include "region/live.h"
#include "region/walk_body.h"

#ifdef __aarch64__ /* a signed return address (PAC): the bits above 48 */
#define CODE_MASK ((1ull << 48) - 1)
#else
#define CODE_MASK UINT64_MAX
#endif

struct walking {
	const struct shared *shared;
	uint64_t begin, end; /* what may be read */
};

static const struct row no_row; /* ROW_CFA_NONE: ends every walk as not known */

static inline __attribute__((always_inline)) const struct row *
row_of(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame)
{
	struct walking *walking = arg;
	const struct shared_pc *known = known_pc(walking->shared, pc, pc == lookup_pc);

	*frame = known ? known->frame : frame_of(FRAME_NOWHERE, 0);
	return known ? &known->row : &no_row;
}

static inline __attribute__((always_inline)) int read_word(void *arg, uint64_t addr,
							   uint64_t *ret)
{
	struct walking *walking = arg;

	if (addr < walking->begin || addr > walking->end - sizeof(*ret))
		return -1;
	__builtin_memcpy(ret, (const void *)(uintptr_t)addr, sizeof(*ret));
	return 0;
}

/* What a guess was needed for, or a pc that is not known, is memtrace's. */
static bool is_doubtful(const frame_t *frames, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (frames[i] & FRAME_GUESS || frame_instance(frames[i]) == FRAME_NOWHERE)
			return true;
	return false;
}

/* The context of the call's stack; 0: not known, or no room for it. */
static __attribute__((noinline)) uint32_t context_of(const struct shared *shared, uint64_t end,
						     const struct agent_call *call,
						     frame_t leaf)
{
	struct walking walking = {shared, call->slot, end};
	const struct walk_ops ops = {row_of,	       read_word,
				     &walking,	       sizeof(uint64_t),
				     CODE_MASK,	       .no_guess = true,
				     .first_sp = shared_told(shared)->first_sp};
	struct walk_regs start = {.sp = call->slot + sizeof(uint64_t), .fp = call->fp};
	uint32_t depth = shared_told(shared)->depth;
	uint32_t max = depth < AGENT_NESTED ? AGENT_NESTED : depth;
	uint32_t sequence = known_sequence(shared);
	frame_t frames[AGENT_FRAMES];
	enum walk_end why;
	size_t count;

	if (!depth || max > AGENT_FRAMES || sequence % 2 ||
	    read_word(&walking, call->slot, &start.pc))
		return 0;
	frames[0] = leaf;
	start.pc &= CODE_MASK;
	count = 1 +
		walk_body_stack(&ops, walk_body_step, &start, false, frames + 1, max - 1, &why);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if ((why != WALK_ROOT && why != WALK_DEPTH && why != WALK_NO_DATA) ||
	    is_doubtful(frames, count) || known_sequence(shared) != sequence)
		return 0;
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
	return call->slot < ret->end && ret->end - call->slot >= sizeof(uint64_t);
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

/* (The entry first: who is interrupted for ever between the two has not freed the block.) */
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
		return is_freed_again(shared, own, addr);
	if (!block.context || block.context >= SHARED_CONTEXTS)
		return false; /* LIVE_ELSEWHERE */
	counters = counters_of(shared, caller->number, block.context);
	if (!counters)
		return false;
	live_remove(&block);
	atom_add64(&counters->freed_bytes, block.size);
	atom_add64(&counters->frees, 1);
	atom_add64(&own->frees, 1);
	atom_store64(&own->last_free, addr);
	atom_store64(&own->last_alloc, 0);
	atom_store64(&own->free_slot, call->slot);
	atom_store32(&own->free_hook, call->hook);
	return true;
}

/* (The counters first: who is interrupted for ever between the two keeps the block.) */
static bool call_alloc(const struct shared *shared, const struct caller *caller,
		       const struct agent_call *call, frame_t leaf, uint64_t addr,
		       uint64_t size)
{
	struct shared_thread *own = caller->own;
	struct shared_counters *counters;
	uint32_t context;
	uint64_t *place;

	if (!addr)
		return true;
	place = live_place(shared, addr, size);
	if (!place || !remembered_context(shared, caller->number, caller->end, call, leaf, &context))
		context = place ? context_of(shared, caller->end, call, leaf) : 0;
	counters = context ? counters_of(shared, caller->number, context) : NULL;
	if (!counters)
		return false;
	atom_add64(&counters->allocated_bytes, size);
	atom_add64(&counters->allocs, 1);
	if (!live_note(shared, place, addr, context, size)) {
		atom_add64(&counters->allocs, -1ull);
		atom_add64(&counters->allocated_bytes, -size);
		return false;
	}
	atom_add64(&own->allocs, 1);
	atom_store64(&own->last_alloc, addr);
	atom_store64(&own->last_free, 0);
	return true;
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

bool agent_call(const struct shared *shared, const struct agent_call *call)
{
	const struct shared_hook *hook = shared_hook(shared, call->hook);
	uint64_t size, addr = call->result;
	struct caller caller;

	if (!caller_find(shared, call, &caller))
		return false;
	switch ((enum shared_kind)hook->kind) {
	case SHARED_FREE:
		return call_free(shared, &caller, call);
	case SHARED_ALLOC:
		size = call->argument[hook->size % 3];
		break;
	case SHARED_CALLOC: /* (with a result, so the product is one) */
		size = call->argument[0] * call->argument[1];
		break;
	case SHARED_ALIGN:
		size = call->argument[2];
		if (!aligned_read(&caller, call, &addr))
			return false;
		break;
	case SHARED_SLOW:
	default:
		return false;
	}
	return call_alloc(shared, &caller, call, hook->frame, addr, size);
}
