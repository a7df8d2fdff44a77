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
 * Allocators nest: calloc calls malloc, a debugging or counting malloc calls the one below
 * and puts a header before the block.  Only the outermost call is the program's, and that is
 * known by the stack it comes from: of an inner call the walk meets the stub of the outer
 * one before it meets a signal frame (a handler that interrupts malloc is the program's).
 *  - What an inner call returns is nobody's block, until an outer one returns it, too: it is
 *    kept in the region's set of them.  Its free, whenever and by whomever, counts as little; so a layer may
 *    keep blocks for a while, or give them back in a thread of its own.
 *  - A free of a block that is in the table counts, wherever it comes from: the block is
 *    gone.  Of one that nobody knows the caller decides: it is from before the attach, or the layer's
 *    own, or another thread ended within realloc.
 *  - While a thread is in realloc, a free of the block that it took is part of it, and so is
 *    an inner realloc.
 *  - delete -> free: the same address twice by the same thread, with nothing between.
 *  - Where the stack can't be walked: a live address can't be returned again by a sound
 *    allocator, so the second report by the same thread, with nothing between, is the
 *    enclosing call and replaces the first.  By another module's function it is a block
 *    which that module got from the one below outside any call of its own.
 */
#ifndef MEMTRACE_BOOK_H
#define MEMTRACE_BOOK_H

#include "region/region.h"

enum { BOOK_NESTED = 8 };

struct book_pending { /* a realloc that was entered and has not returned */
	uint64_t slot; /* where its return address lies: tells calls apart */
	uint64_t old;
	struct region_block block;
	bool taken;    /* block was in the table: put back if the call fails */
	bool borrowed; /* an outer pending call has taken it */
};

struct book_thread { /* per thread; zeroed at first */
	struct book_pending pending[BOOK_NESTED];
	unsigned depth;
	uint64_t last_alloc; /* result of the last event if it was an allocation, else 0 */
	uint64_t last_free;  /* the same for a free */
	uint64_t small_slot; /* where the return address of the last one lay that was too small to count */
	uint64_t allocs, frees;
};

struct book {
	struct region *region;
	struct region_space *space;
	/* Is a block that nobody knows one from before all that is counted here, which is known?  Asked
	 * once for each that is freed.  NULL: there are none. */
	bool (*inherits)(void *arg, uint64_t addr);
	void *inherits_arg;
	bool passes; /* some allocations did not count: a block that nobody knows is one of these */
};

struct book_event { /* a call that returned a block */
	uint64_t result; /* 0: none */
	uint64_t size;
	uint32_t context; /* of its stack; not needed where nested */
	uint32_t now;
	bool nested; /* within another call of an allocator */
	bool passed; /* not all allocations count: this one does not */
	uint32_t level; /* of a sample (sample.h); 0: it counts as one */
};

enum book_free {
	BOOK_FREED,
	BOOK_PART,    /* of another call, or a layer's: not counted */
	BOOK_UNKNOWN, /* nobody knows the block: nothing is counted yet */
};

/* free(addr) was entered. */
enum book_free book_free(struct book *book, struct book_thread *thread, uint64_t addr);
/* After BOOK_UNKNOWN.  The block is one that `other` is in realloc with, which will not
 * return: it has ended.  False: it is not. */
bool book_free_taken(struct book *book, struct book_thread *thread, struct book_thread *other,
		     uint64_t addr);
/* After BOOK_UNKNOWN: the call is the program's. */
void book_free_unknown(struct book *book, struct book_thread *thread, uint64_t addr);

/* realloc(addr) was entered, its return address lies at slot. */
void book_realloc_entry(struct book *book, struct book_thread *thread, uint64_t slot,
			uint64_t addr);

/* The same, of a call that was entered earlier, whose block (NULL: it has none in the table) was taken
 * out of what others keep. */
void book_realloc_entered(struct book *book, struct book_thread *thread, uint64_t slot,
			  uint64_t addr, const struct region_block *taken);

/* An allocation returned; where there is no result it failed, and nothing happened. */
void book_alloc(struct book *book, struct book_thread *thread, const struct book_event *event);

/*
 * realloc(addr) returned.  Did it free the old block without a new one (realloc to 0)?
 * That is size 0 and result 0.
 */
void book_realloc_return(struct book *book, struct book_thread *thread, uint64_t slot,
			 uint64_t addr, const struct book_event *event);

/* The region was cleared: what was taken before belongs to no count any more. */
void book_forget(struct book_thread *thread);

/* The thread will not return from what it is in (exit, detach): put back. */
void book_abandon(struct book *book, struct book_thread *thread);

/* Exec: the blocks of inner calls went with the program. */
void book_program_ended(struct book *book);

#endif
