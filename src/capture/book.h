/*
 * Bookkeeping: what the calls of a thread mean for the blocks of the region.
 *
 * A block leaves the table before the real free runs and enters it after the real
 * malloc returned, so an address that is used again is never seen twice.
 *
 *   free      entry: taken, counted
 *   malloc    return: entered
 *   realloc   entry: taken, not counted yet --> return: counted as one free and one
 *             allocation; or, when it failed, put back as if nothing had been
 *
 * Allocators nest, and only the outermost call counts:
 *  - calloc -> malloc: the inner call returns the same, then live, address first; a
 *    live address can't be returned again by a sound allocator, so the second report
 *    by the same thread, with nothing between, is the enclosing call and replaces
 *    the first.
 *  - realloc -> malloc, free: while a thread is in realloc, a free of the block that
 *    it took is part of it.
 *  - reallocarray -> realloc: the inner entry finds the block taken by the outer.
 *  - delete -> free: the same address twice by the same thread, with nothing between.
 */
#ifndef MEMTRACE_BOOK_H
#define MEMTRACE_BOOK_H

#include "base/types.h"
#include "region/region.h"

enum { BOOK_NESTED = 8 };

struct book_pending { /* a realloc that was entered and has not returned */
	taddr_t slot; /* where its return address lies: tells calls apart */
	taddr_t old;
	struct region_block block;
	bool taken;    /* block was in the table: put back if the call fails */
	bool borrowed; /* an outer pending call has taken it */
};

struct book_thread { /* per thread; zeroed at first */
	struct book_pending pending[BOOK_NESTED];
	unsigned depth;
	taddr_t last_alloc; /* result of the last event if it was an allocation, else 0 */
	taddr_t last_free;  /* the same for a free */
	uint64_t allocs, frees;
};

struct book {
	struct region *region;
	struct region_space *space;
};

/* free(addr) was entered. */
void book_free(struct book *book, struct book_thread *thread, taddr_t addr);

/* realloc(addr) was entered, its return address lies at slot. */
void book_realloc_entry(struct book *book, struct book_thread *thread, taddr_t slot,
			taddr_t addr);

/* An allocation of size bytes returned `result`; 0: it failed, nothing happened.
 * context: of its stack. */
void book_alloc(struct book *book, struct book_thread *thread, taddr_t result, uint64_t size,
		uint32_t context, uint32_t now);

/*
 * realloc returned.  Did it free the old block without a new one (realloc to 0)?
 * That is size 0 and result 0.
 */
void book_realloc_return(struct book *book, struct book_thread *thread, taddr_t slot,
			 taddr_t addr, taddr_t result, uint64_t size, uint32_t context,
			 uint32_t now);

/* The region was cleared: what was taken before belongs to no count any more. */
void book_forget(struct book_thread *thread);

/* The thread will not return from what it is in (exit, detach): put back. */
void book_abandon(struct book *book, struct book_thread *thread);

#endif
