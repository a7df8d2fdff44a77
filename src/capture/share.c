/* Telling the agent, and hearing from it; see share.h. */
#include "capture/share.h"

#include <errno.h>
#include <string.h>

#include "capture/kept.h"
#include "capture/parts.h"
#include "capture/share_parts.h"
#include "capture/thread_data.h"
#include "capture/unfinished.h"
#include "region/known.h"
#include "tracer/let_out.h"
#include "tracer/retry.h"

enum { OTHER_STACK = 64 /* calls from one, until it is looked at again */ };

static const struct retry a_moment = {
	.tries = 12, .first_ms = 1, .last_ms = 4, .unread = RETRY_UNREAD};

static struct shared_thread *own_of(const struct engine *engine, const struct thread_data *data)
{
	return known_thread_at(share_memory(engine), data->share.number);
}

/* ---- what is told ---------------------------------------------------------- */

void share_begin(struct engine *engine, const struct shared *shared)
{
	struct ledger *ledger = &engine->ledger;

	if (!shared_init(shared, ledger->depth))
		return; /* never: it says nothing that is out of bounds */
	tally_begin(&ledger->tally, shared, ledger->region, &ledger->space);
	ledger->walker.shared = shared;
	shared_told(shared)->seed = selection_seed();
	selection_tell(&ledger->selection, shared, &ledger->book);
	kept_begin(engine);
	shared_told(shared)->first_sp = ledger->walker.first_sp;
	walker_forget(&ledger->walker);
}

static void hear_pending(struct engine *engine, struct thread_data *data)
{
	struct ledger *ledger = &engine->ledger;

	unfinished_pending(&ledger->tally, &ledger->book, &data->book, own_of(engine, data),
			   ledger_now(ledger));
}

static void hear_unfinished(struct engine *engine, struct thread_data *data)
{
	hear_pending(engine, data);
	unfinished_inner(&engine->ledger.tally, own_of(engine, data));
}

static void thread_forget(void *arg, struct thread *thread)
{
	struct engine *engine = arg;

	if (!thread->owner)
		return;
	if (thread_data(thread)->share.pointer)
		hear_unfinished(engine, thread_data(thread));
	thread_data(thread)->share = (struct thread_share){0};
}

void share_end(struct engine *engine)
{
	if (!share_memory(engine))
		return;
	share_sum(engine);
	tracee_for_each(&engine->tracee, thread_forget, engine);
	kept_end(engine);
	engine->ledger.walker.shared = NULL;
}

void share_forget(struct engine *engine)
{
	share_end(engine);
	selection_keep(&engine->ledger.selection, share_memory(engine));
	tally_end(&engine->ledger.tally);
}

static struct shared_hook meaning(const struct hook *hook)
{
	struct shared_hook ret = {.frame = hook->frame, .size = (uint32_t)hook->function->size};

	switch (hook->function->call) {
	case CALL_ALLOC:
		ret.kind = SHARED_ALLOC;
		break;
	case CALL_CALLOC:
		ret.kind = SHARED_CALLOC;
		break;
	case CALL_POSIX_ALIGN:
		ret.kind = SHARED_ALIGN;
		break;
	case CALL_FREE:
		ret.kind = SHARED_FREE;
		break;
	case CALL_REALLOC:
		ret.kind = SHARED_REALLOC;
		break;
	case CALL_REALLOCARRAY:
		ret.kind = SHARED_REALLOCARRAY;
		break;
	case CALL_LOADER:
		ret.kind = SHARED_LOADER;
		break;
	default:
		break;
	}
	return ret;
}

void share_hooks(struct engine *engine)
{
	const struct shared *shared = share_memory(engine);

	for (size_t i = 0; shared && i < engine->hooks.list.len; i++) {
		const struct hook *hook = &engine->hooks.list.at[i];

		if (hook->stub.number && hook->stub.number < SHARED_HOOKS)
			*shared_hook(shared, hook->stub.number) = meaning(hook);
	}
}

/* ---- threads --------------------------------------------------------------- */

static bool is_within(const struct engine *engine, const struct thread_share *share,
		      taddr_t slot)
{
	const struct shared_place *place = known_place(share_memory(engine), share->number);

	return share->pointer && slot >= place->low && slot < place->high;
}

/* Of a thread that comes from another stack than its own each 1st, 2nd, 4th ... 64th call. */
static bool is_to_enter(const struct engine *engine, const struct thread *thread,
			struct thread_share *share, taddr_t slot)
{
	if (thread->sharer || share->banned || is_within(engine, share, slot))
		return false;
	share->elsewhere = share->elsewhere % OTHER_STACK + 1;
	return !(share->elsewhere & (share->elsewhere - 1));
}

/* What the agent has seen of it since. */
static void hear(struct engine *engine, struct thread_data *data)
{
	struct shared_thread *own = own_of(engine, data);

	data->book.allocs += own->allocs - data->share.allocs;
	data->book.frees += own->frees - data->share.frees;
	data->share.allocs = own->allocs;
	data->share.frees = own->frees;
	hear_unfinished(engine, data);
	if (data->share.fresh)
		return;
	data->book.last_alloc = own->last_alloc;
	data->book.small_slot = own->small_slot;
	data->book.last_free = own->last_free;
	if (own->free_hook) {
		data->free_slot = own->free_slot;
		data->free_by =
			frame_instance(shared_hook(share_memory(engine), own->free_hook)->frame);
		own->free_hook = 0;
	}
}

void share_call_begins(struct engine *engine, struct thread *thread, const struct call *call)
{
	struct thread_data *data = thread_data(thread);

	if (!share_memory(engine))
		return;
	engine->ledger.stopped_calls++;
	if (is_to_enter(engine, thread, &data->share, call->slot))
		share_enter(engine, thread, call->slot);
	if (data->share.pointer)
		hear(engine, data);
}

struct asking {
	struct engine *engine;
	taddr_t block;
	bool heard;
};

static void thread_ask(void *arg, struct thread *thread)
{
	struct asking *a = arg;
	struct thread_data *data = thread->owner;
	struct shared_thread *own;

	if (!data || !data->share.pointer)
		return;
	own = own_of(a->engine, data);
	if (own->inner == a->block) {
		unfinished_inner(&a->engine->ledger.tally, own);
		a->heard = true;
	}
	if (own->pending.slot && own->pending.addr == a->block) /* it has ended within */
		hear_pending(a->engine, data);
}

bool share_ask_others(struct engine *engine, taddr_t block)
{
	struct asking asking = {engine, block, false};

	if (share_memory(engine))
		tracee_for_each(&engine->tracee, thread_ask, &asking);
	return asking.heard;
}

void share_take(struct engine *engine, taddr_t block)
{
	tally_adopt(&engine->ledger.tally, block, ledger_now(&engine->ledger));
}

void share_selected(struct engine *engine, struct thread *thread, taddr_t slot,
		    struct book_event *event, bool moves)
{
	struct thread_data *data = thread_data(thread);
	bool has = share_memory(engine) && data->share.pointer;
	bool outer = moves && sample_is_outer(data->book.last_alloc, data->book.small_slot,
					      event->result, slot);

	selection_take(&engine->ledger.selection, has ? own_of(engine, data) : NULL, slot, event,
		       outer);
	data->book.small_slot = event->passed ? slot : 0;
}

void share_settle(struct engine *engine, taddr_t block)
{
	tally_settle(&engine->ledger.tally, block);
}

/* (A vfork child runs while its parent waits.) */
void share_on_sharer(struct engine *engine, struct thread *sharer)
{
	struct thread *other;

	if (!share_memory(engine))
		return;
	other = share_owner_of(engine, sharer, thread_pointer(&engine->tracee, sharer));
	if (other && !other->in_vfork && thread_data(other)->share.pointer)
		share_ban(engine, other);
}

void share_thread_ends(struct engine *engine, struct thread *thread)
{
	struct thread_share *share;

	if (!share_memory(engine) || !thread->owner)
		return;
	share = &thread_data(thread)->share;
	if (share->pointer)
		hear_unfinished(engine, thread_data(thread));
	if (share->pointer)
		known_thread_set(share_memory(engine), share->pointer, 0, 0);
	share->pointer = 0;
}

/* ---- all ------------------------------------------------------------------- */

static void thread_hear(void *arg, struct thread *thread)
{
	struct engine *engine = arg;
	struct thread_data *data = thread->owner;
	const struct shared_thread *own;
	uint64_t allocs, frees;

	if (!data || !data->share.pointer)
		return;
	own = own_of(engine, data);
	allocs = atom_load_whole(&own->allocs);
	frees = atom_load_whole(&own->frees);
	data->book.allocs += allocs - data->share.allocs;
	data->book.frees += frees - data->share.frees;
	data->share.allocs = allocs;
	data->share.frees = frees;
}

/* (Each second at least, while there is a course.) */
static void look_at_cost(struct engine *engine)
{
	struct ledger *ledger = &engine->ledger;
	struct selection *selection = &ledger->selection;

	if (!selection_is_due(selection) || engine->ending.ended)
		return;
	selection_look(selection, share_memory(engine), &ledger->book,
		       status_cpu_ms(tracee_alive(&engine->tracee)), ledger->stopped_calls);
}

void share_sum(struct engine *engine)
{
	struct ledger *ledger = &engine->ledger;

	if (!share_memory(engine) || engine->ending.left) /* what comes now is the next memtrace's */
		return;
	tracee_for_each(&engine->tracee, thread_hear, engine);
	tally_counters(&ledger->tally, ledger_now(ledger));
	look_at_cost(engine);
}

static void age(struct engine *engine,
		void (*how)(struct ages *ages, const struct shared *shared, uint32_t now))
{
	if (share_memory(engine))
		how(&engine->ledger.tally.ages, share_memory(engine), ledger_now(&engine->ledger));
}

void share_generation_ends(struct engine *engine)
{
	age(engine, ages_end);
}

void share_mark_begins(struct engine *engine)
{
	age(engine, ages_mark_begins);
}

void share_mark_ends(struct engine *engine)
{
	age(engine, ages_mark_ends);
}

static void thread_clear(void *arg, struct thread *thread)
{
	struct engine *engine = arg;
	struct thread_data *data = thread->owner;
	struct shared_thread *own;

	if (!share_memory(engine) || !data || !data->share.pointer)
		return;
	own = own_of(engine, data);
	own->last_alloc = own->last_free = 0;
	own->allocs = own->frees = data->share.allocs = data->share.frees = 0;
	own->pending.context = 0;
}

/* -EAGAIN: a thread is in the midst of a call. */
static int nobody_counts(void *arg)
{
	struct engine *engine = arg;
	const struct undo_agent *agent = &engine->undoing.undo->agent;
	const struct inside_range range = {agent->base - 1, agent->base + agent->len};

	if (engine->ending.ended)
		return -ECHILD;
	return agent->len ? let_out(&engine->tracee, &range, NULL) : 0;
}

/* (Under full load there may always be one; its call is then of before and after.) */
void share_clear(struct engine *engine)
{
	struct ledger *ledger = &engine->ledger;
	bool stop = share_memory(engine) && engine->traced && !engine->ending.ended;

	if (stop)
		err_ignore(
			retry_stopped(&engine->tracee, &a_moment, nobody_counts, engine, NULL));
	share_sum(engine);
	tracee_for_each(&engine->tracee, thread_clear, engine);
	tally_clear(&ledger->tally);
	selection_clear(&ledger->selection, share_memory(engine));
	if (share_memory(engine))
		shared_taken(share_memory(engine))->alone = (struct shared_alone){0};
	if (share_memory(engine))
		ages_clear(&ledger->tally.ages, share_memory(engine), ledger_now(ledger));
	ledger_clear(ledger, &engine->tracee);
	kept_write(engine);
	if (stop)
		tracee_resume(&engine->tracee);
}
