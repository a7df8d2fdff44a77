/* What calls mean for blocks; the rules are in book.h. */
#include "capture/book.h"

/* The outer pending call that took addr, or NULL. */
static struct book_pending *pending_of(struct book_thread *thread, taddr_t addr)
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
static void pending_unwind(struct book *book, struct book_thread *thread, taddr_t slot)
{
	while (thread->depth && thread->pending[thread->depth - 1].slot < slot)
		pending_put_back(book, &thread->pending[--thread->depth]);
}

void book_free(struct book *book, struct book_thread *thread, taddr_t addr)
{
	struct region_block block;

	if (!addr || pending_of(thread, addr))
		return;
	if (region_take(book->region, addr, &block))
		region_free(book->region, &block);
	else if (thread->last_free == addr)
		return; /* the inner half of operator delete or cfree */
	else
		region_free_unknown(book->region);
	thread->frees++;
	thread->last_free = addr;
	thread->last_alloc = 0;
}

void book_realloc_entry(struct book *book, struct book_thread *thread, taddr_t slot,
			taddr_t addr)
{
	struct book_pending *pending;

	pending_unwind(book, thread, slot + 1);
	if (thread->depth == BOOK_NESTED) {
		region_lost(book->region);
		return;
	}
	pending = &thread->pending[thread->depth];
	*pending = (struct book_pending){.slot = slot, .old = addr};
	if (addr) {
		pending->borrowed = pending_of(thread, addr) != NULL;
		pending->taken =
			!pending->borrowed && region_take(book->region, addr, &pending->block);
	}
	thread->depth++;
	thread->last_free = 0;
}

void book_alloc(struct book *book, struct book_thread *thread, taddr_t result, uint64_t size,
		uint32_t context, uint32_t now)
{
	bool inner;

	if (!result)
		return;
	inner = thread->last_alloc == result && region_find(book->region, result);
	region_alloc(book->region, book->space, result, size, context, now, inner);
	thread->allocs += !inner;
	thread->last_alloc = result;
	thread->last_free = 0;
}

void book_realloc_return(struct book *book, struct book_thread *thread, taddr_t slot,
			 taddr_t addr, taddr_t result, uint64_t size, uint32_t context,
			 uint32_t now)
{
	struct book_pending pending = {.old = addr};

	pending_unwind(book, thread, slot);
	if (thread->depth && thread->pending[thread->depth - 1].slot == slot)
		pending = thread->pending[--thread->depth];
	else
		pending.borrowed = true; /* entered before we came: the old block is not ours */
	if (!result && (size || !addr)) {
		pending_put_back(book, &pending);
		return;
	}
	if (pending.taken)
		region_free(book->region, &pending.block);
	else if (pending.old && !pending.borrowed)
		region_free_unknown(book->region);
	thread->frees += pending.old && !pending.borrowed;
	book_alloc(book, thread, result, size, context, now);
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
