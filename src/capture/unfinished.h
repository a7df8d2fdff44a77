/*
 * What a thread is within, and the agent has begun: it becomes the book's when memtrace has to do
 * with the thread.
 *
 *    agent's, with the thread (struct shared_thread)        book's
 *      pending: a realloc that has not returned  ---------> a pending call, its block taken
 *      inner: an address that an inner call returned -----> the region's set of them
 *
 * The thread stands; or another one stands that has to do with the same address, as this one has
 * ended.  What it is just working on (SHARED_BUSY) stays its own.
 */
#ifndef MEMTRACE_UNFINISHED_H
#define MEMTRACE_UNFINISHED_H

#include "capture/tally.h"
#include "region/book.h"

void unfinished_pending(struct tally *tally, struct book *book, struct book_thread *thread,
			struct shared_thread *own, uint32_t now);
void unfinished_inner(struct tally *tally, struct shared_thread *own);

#endif
