/* What calls mean for blocks; the rules are in book.h. */
#include "region/book.h"

/* The outer pending call that took addr, or NULL. */
static struct book_pending *pending_of(struct book_thread *thread, uint64_t addr)
{
	for (unsigned i = thread->depth; i-- > 0;)
		if (thread->pending[i].old == addr && !thread->pending[i].borrowed)
			return &thread->pending[i];
	return NULL;
}

static void pending_put_back(struct book *book, struct book_pending *pending)
{
	if (pending->taken)
		region_put_back(book->region, book->space, &pending->block);
	pending->taken = false;
}

/* Calls deeper on the stack than slot will not return any more (longjmp). */
static void pending_unwind(struct book *book, struct book_thread *thread, uint64_t slot)
{
	while (thread->depth && thread->pending[thread->depth - 1].slot < slot)
		pending_put_back(book, &thread->pending[--thread->depth]);
}

static enum book_free freed(struct book_thread *thread, uint64_t addr, bool counts)
{
	thread->frees += counts;
	thread->last_free = addr;
	thread->last_alloc = 0;
	return BOOK_FREED;
}

enum book_free book_free(struct book *book, struct book_thread *thread, uint64_t addr)
{
	struct region_block block;

	if (!addr || pending_of(thread, addr))
		return BOOK_PART;
	if (!region_take(book->region, addr,
			 &block)) /* (delete's free, cfree's, or a layer's) */
		return thread->last_free == addr || region_inner_remove(book->region, addr)
			       ? BOOK_PART
			       : BOOK_UNKNOWN;
	region_free(book->region, &block);
	return freed(thread, addr, true);
}

bool book_free_taken(struct book *book, struct book_thread *thread, struct book_thread *other,
		     uint64_t addr)
{
	struct book_pending *pending = pending_of(other, addr);

	if (!pending || !pending->taken)
		return false;
	region_free(book->region, &pending->block);
	pending->taken = false;
	freed(thread, addr, true);
	return true;
}

static void count_unknown(const struct book *book, uint64_t addr)
{
	if ((!book->inherits || !book->inherits(book->inherits_arg, addr)) && !book->passes)
		region_free_unknown(book->region);
}

void book_free_unknown(struct book *book, struct book_thread *thread, uint64_t addr)
{
	count_unknown(book, addr);
	freed(thread, addr, !book->passes);
}

/* NULL: there is no room. */
static struct book_pending *pending_push(struct book *book, struct book_thread *thread,
					 uint64_t slot, uint64_t addr)
{
	struct book_pending *pending;

	pending_unwind(book, thread, slot + 1);
	if (thread->depth == BOOK_NESTED) {
		region_lost(book->region);
		return NULL;
	}
	pending = &thread->pending[thread->depth];
	*pending = (struct book_pending){.slot = slot, .old = addr};
	pending->borrowed = addr && pending_of(thread, addr);
	thread->depth++;
	return pending;
}

void book_realloc_entry(struct book *book, struct book_thread *thread, uint64_t slot,
			uint64_t addr)
{
	struct book_pending *pending = pending_push(book, thread, slot, addr);

	if (pending)
		pending->taken = addr && !pending->borrowed &&
				 region_take(book->region, addr, &pending->block);
}

void book_realloc_entered(struct book *book, struct book_thread *thread, uint64_t slot,
			  uint64_t addr, const struct region_block *taken)
{
	struct book_pending *pending = pending_push(book, thread, slot, addr);

	if (!pending || !taken)
		return;
	pending->block = *taken;
	pending->taken = true;
}

/* The module whose function made a block. */
static uint32_t layer_of(const struct region *region, uint32_t context)
{
	uint32_t leaf = region_context_at(region, context)->node;

	return frame_instance(region_node(region, leaf)->frame);
}

/* Is the block that is live at this address the inner half of this call, or a layer's? */
static bool is_inner(const struct book *book, const struct book_thread *thread,
		     const struct book_event *event)
{
	const struct region_block *block = region_find(book->region, event->result);

	return block && (thread->last_alloc == event->result ||
			 layer_of(book->region, block->context) !=
				 layer_of(book->region, event->context));
}

/* What is noted there is the inner half of this call, and as little counted. */
static void pass(struct book *book, struct book_thread *thread, uint64_t addr)
{
	region_inner_remove(book->region, addr);
	region_yield(book->region, addr);
	thread->last_alloc = addr;
	thread->last_free = 0;
}

void book_alloc(struct book *book, struct book_thread *thread, const struct book_event *event)
{
	const struct region_block block = {.addr = event->result,
					   .size = event->size,
					   .level = event->level,
					   .context = event->context,
					   .time = event->now};
	bool inner;

	if (!event->result)
		return;
	if (event->passed) {
		pass(book, thread, event->result);
		return;
	}
	if (event->nested) {
		region_inner_add(book->region, book->space, event->result);
		return;
	}
	region_inner_remove(book->region, event->result);
	inner = is_inner(book, thread, event);
	region_alloc_block(book->region, book->space, &block, inner);
	thread->allocs += !inner;
	thread->last_alloc = event->result;
	thread->last_free = 0;
}

/* The call that returns, if its entry was seen. */
static struct book_pending pending_pop(struct book *book, struct book_thread *thread,
				       uint64_t slot, uint64_t addr)
{
	pending_unwind(book, thread, slot);
	if (thread->depth && thread->pending[thread->depth - 1].slot == slot)
		return thread->pending[--thread->depth];
	/* Entered before we came: the old block is not ours. */
	return (struct book_pending){.old = addr, .borrowed = true};
}

void book_realloc_return(struct book *book, struct book_thread *thread, uint64_t slot,
			 uint64_t addr, const struct book_event *event)
{
	struct book_pending pending = pending_pop(book, thread, slot, addr);
	bool below;

	if (!event->result && (event->size || !addr)) {
		pending_put_back(book, &pending);
		return;
	}
	below = !pending.taken && pending.old && region_inner_remove(book->region, pending.old);
	if (!pending.taken && (event->nested || below)) {
		if (event->result)
			region_inner_add(book->region, book->space, event->result);
		return;
	}
	if (pending.taken)
		region_free(book->region, &pending.block);
	else if (pending.old && !pending.borrowed)
		count_unknown(book, pending.old);
	thread->frees += pending.taken || (pending.old && !pending.borrowed && !book->passes);
	thread->last_free = 0;
	book_alloc(book, thread, event);
}

void book_forget(struct book_thread *thread)
{
	for (unsigned i = 0; i < thread->depth; i++)
		thread->pending[i].taken = false;
	thread->last_alloc = thread->last_free = 0;
	thread->allocs = thread->frees = 0;
}

void book_abandon(struct book *book, struct book_thread *thread)
{
	while (thread->depth)
		pending_put_back(book, &thread->pending[--thread->depth]);
}

void book_program_ended(struct book *book)
{
	region_inner_clear(book->region, book->space);
}
