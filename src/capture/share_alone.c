/* What the agent has counted without us: taken up, and said; see share.h. */
#include "capture/share.h"

#include "capture/parts.h"
#include "capture/share_parts.h"
#include "capture/thread_data.h"
#include "region/known.h"

void share_go_on(struct engine *engine, const struct shared *shared)
{
	struct ledger *ledger = &engine->ledger;

	tally_go_on(&ledger->tally, shared, ledger->region, &ledger->space);
	ledger->walker.shared = shared;
}

void share_give_up(struct engine *engine)
{
	engine->ledger.walker.shared = NULL;
	tally_end(&engine->ledger.tally);
}

static void thread_stays(void *arg, struct thread *thread)
{
	struct engine *engine = arg;
	struct thread_data *data = thread->owner;
	struct shared_thread *own;

	if (!data || !data->share.pointer)
		return;
	own = known_thread_at(share_memory(engine), data->share.number);
	own->allocs = data->share.allocs = data->book.allocs;
	own->frees = data->share.frees = data->book.frees;
}

void share_threads_stay(struct engine *engine)
{
	share_sum(engine);
	tracee_for_each(&engine->tracee, thread_stays, engine);
}

/* What the thread has counted there is all its own, from the beginning (thread_stays()). */
static void thread_goes_on(void *arg, struct thread *thread)
{
	struct engine *engine = arg;
	taddr_t pointer = thread->state == THREAD_STOPPED && !thread->sharer
				  ? thread_pointer(&engine->tracee, thread)
				  : 0;
	uint32_t number = known_thread(share_memory(engine), pointer);
	struct thread_share *share;

	if (number == KNOWN_NONE || !known_place(share_memory(engine), number)->low ||
	    !thread_data(thread))
		return;
	share = &thread_data(thread)->share;
	share->pointer = pointer;
	share->number = number;
	if (share_owner_of(engine, thread, pointer))
		share_ban(engine, thread);
}

void share_threads_go_on(struct engine *engine)
{
	const struct shared *shared = share_memory(engine);

	selection_go_on(&engine->ledger.selection, shared, &engine->ledger.book);
	tracee_for_each(&engine->tracee, thread_goes_on, engine);
	for (uint32_t i = 0; i < known_threads(shared); i++) {
		taddr_t pointer = known_place(shared, known_list(shared)[i])->pointer;

		if (!share_owner_of(engine, NULL, pointer))
			known_thread_set(shared, pointer, 0, 0);
	}
}

void share_describe_alone(const struct engine *engine, struct snapshot_alone *ret)
{
	const struct shared_alone *alone;

	if (!share_memory(engine) || !engine->ledger.away_ms)
		return;
	alone = &shared_taken(share_memory(engine))->alone;
	*ret = (struct snapshot_alone){engine->ledger.away_ms, alone->allocs, alone->bytes,
				       alone->frees, alone->unkept};
}
