/*
 * From a call to an event of the book.
 *
 * A call that allocates counts when it has returned, one that frees before it runs; realloc
 * does both.
 */
#include "capture/count.h"

#include "capture/context.h"
#include "capture/layer.h"
#include "capture/share.h"
#include "capture/thread_data.h"

static uint64_t product(uint64_t a, uint64_t b)
{
	uint64_t size;
	return __builtin_mul_overflow(a, b, &size) ? 0 : size;
}

/* Size and result of the call that returned. */
static void event_read(struct ledger *ledger, const struct call *call, struct book_event *ret)
{
	ret->result = call->result;
	switch (call->function->call) {
	case CALL_ALLOC:
		ret->size = call->argument[call->function->size];
		break;
	case CALL_CALLOC:
		ret->size = product(call->argument[0], call->argument[1]);
		break;
	case CALL_POSIX_ALIGN:
		ret->size = call->argument[2];
		if ((uint32_t)call->result || /* an int: the error */
		    walker_word(&ledger->walker, call->argument[0], &ret->result))
			ret->result = 0;
		break;
	case CALL_REALLOC:
		ret->size = call->argument[1];
		break;
	case CALL_REALLOCARRAY:
		/* An overflow fails without touching the block: not "realloc to 0". */
		ret->size = product(call->argument[1], call->argument[2]);
		if (!ret->size && call->argument[1] && call->argument[2])
			ret->size = UINT64_MAX;
		break;
	default:
		break;
	}
}

static bool is_realloc(const struct call *call)
{
	return call->function->call == CALL_REALLOC ||
	       call->function->call == CALL_REALLOCARRAY;
}

static void count_returned(struct engine *engine, struct thread *thread,
			   const struct call *call)
{
	struct ledger *ledger = &engine->ledger;
	struct book_thread *book = &thread_data(thread)->book;
	struct book_event event = {.now = ledger_now(ledger)};

	event_read(ledger, call, &event);
	share_take(engine, event.result);
	if (event.result)
		share_selected(engine, thread, call->slot, &event,
			       !is_realloc(call) || call->argument[0] != event.result);
	if (!event.passed && (event.result || (is_realloc(call) && !event.size)))
		event.nested = context_walk(engine, thread, call,
					    event.result ? &event.context : NULL);
	if (is_realloc(call))
		book_realloc_return(&ledger->book, book, call->slot, call->argument[0], &event);
	else
		book_alloc(&ledger->book, book, &event);
	share_settle(engine, event.result);
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
		s->found =
			book_free_taken(&s->engine->ledger.book, &thread_data(s->thread)->book,
					&thread_data(other)->book, s->block);
}

/* Does the block belong to a thread that ended within realloc, of which we are yet to hear? */
static bool is_taken(struct engine *engine, struct thread *thread, taddr_t block)
{
	struct taken_search search = {engine, thread, block, false};

	tracee_for_each(&engine->tracee, look_at_pending, &search);
	return search.found;
}

static void count_free(struct engine *engine, struct thread *thread, const struct call *call)
{
	struct book *book = &engine->ledger.book;
	struct thread_data *data = thread_data(thread);
	taddr_t block = call->argument[0];
	enum book_free is = book_free(book, &data->book, block);

	if (is == BOOK_UNKNOWN && share_ask_others(engine, block))
		is = book_free(book, &data->book, block);
	if (is == BOOK_PART)
		return;
	if (is == BOOK_UNKNOWN && !is_taken(engine, thread, block)) {
		if (layer_is_free_of(engine, thread, call))
			return;
		book_free_unknown(book, &data->book, block);
	}
	data->free_slot = call->slot;
	data->free_by = call->instance;
}

static void count(struct engine *engine, struct thread *thread, const struct call *call)
{
	if (!call->entered)
		count_returned(engine, thread, call);
	else if (call->function->call == CALL_FREE)
		count_free(engine, thread, call);
	else
		book_realloc_entry(&engine->ledger.book, &thread_data(thread)->book, call->slot,
				   call->argument[0]);
}

void count_call(struct engine *engine, struct thread *thread, const struct call *call)
{
	share_call_begins(engine, thread, call);
	if (call->entered)
		share_take(engine, call->argument[0]);
	count(engine, thread, call);
	if (call->entered || is_realloc(call))
		share_settle(engine, call->argument[0]);
	share_call_ends(engine, thread);
}
