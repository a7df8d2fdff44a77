/*
 * Which blocks of a process' heap are lost, and who holds the others: of a process that nobody
 * has prepared, with the blocks from before anybody watched.
 *
 *   memory, mappings,      +-----------+    +-------+    +-------+    +------+
 *   modules, threads ----> | enumerate | -> | index | -> | edges | -> | mark | --> classes
 *                          +-----------+    +-------+    +-------+    +------+     leaders
 *                           allocators'      a bit per    every word   from         paths
 *                           own structures   16 bytes     is a guess   the roots
 *
 * Values in, values out: the memory is a picture that does not change (a frozen clone of the
 * process, a process that is stopped, a recorded image).  Nothing of it is trusted: whatever its
 * bytes are, the answer is a result or a refusal that says why, and comes in bounded time.
 *
 * A word that is an address within a block counts as a pointer to it (conservatively, as
 * memcheck and LeakSanitizer do).  Roots are writable memory that is no heap, stacks from sp
 * on, and registers; not the allocator's own state, nor stacks of threads that have ended.
 *
 * Blocks are numbered 0, 1, ... by ascending address.  The library keeps, beside what streams
 * through, some 27 bytes a block.
 */
#ifndef MEMTRACE_LEAK_H
#define MEMTRACE_LEAK_H

#include "base/err.h"
#include "base/memory.h"
#include "elf/maps.h"
#include "elf/module.h"

struct leak;

/* ---- in ------------------------------------------------------------------------- */

struct leak_cpu {
	uint16_t machine; /* EM_* of the process */
	uint8_t word;	  /* bytes of a pointer: 4 or 8 */
	uint8_t tag_bits; /* uppermost bits of a pointer that the CPU ignores: AArch64 8, else 0
			   */
	uint16_t red_zone; /* bytes below sp that user code may use: x86-64 128, else 0 */
};

struct leak_thread {
	int tid;
	taddr_t sp;
	taddr_t tp;	      /* fs base, TPIDR_EL0, TPIDRURO; 0: not known */
	bool in_syscall;      /* in the kernel by a call of its own: no red zone */
	const uint64_t *regs; /* the general registers, sp and pc among them, in the order of
				 the register set (a root "register" says the index) */
	size_t reg_count;
	const void *extra; /* vector registers (NT_X86_XSTATE, NT_PRFPREG, ...): each aligned
			      word of the process' size in it may be a pointer; NULL: none */
	size_t extra_len;
};

/* A live block that memtrace itself has seen allocated. */
struct leak_live {
	taddr_t addr;
	uint64_t size;
	uint32_t context; /* as in snapshots; not 0 */
};

enum leak_step {
	LEAK_STEP_ENUMERATE, /* done, total: bytes of the heap (total may grow) */
	LEAK_STEP_ROOTS,     /* bytes */
	LEAK_STEP_EDGES,     /* bytes in blocks */
	LEAK_STEP_MARK,	     /* blocks */
};

/* What is done in it, for who waits: a constant. */
const char *leak_step_name(enum leak_step step);

/* All that is pointed to must stay valid, and unchanged, until leak_destroy(); but see memory.
 */
struct leak_input {
	/* The picture.  What fails to read counts as unread_bytes, and is no error.  When the
	 * picture is gone: let every read fail; what needs it then says less (see each query).
	 */
	struct memory *memory;
	/* May be NULL.  The first piece of [addr, end) that has content other than zeros, whole
	 * pages (by /proc/PID/pagemap), else false: so that large empty mappings cost nothing.
	 */
	bool (*present)(void *arg, taddr_t addr, taddr_t end, struct range *ret);
	void *present_arg;
	const struct maps *maps;
	const struct modules *modules;
	struct leak_cpu cpu;
	const struct leak_thread *threads;
	size_t thread_count;
	const struct leak_live *live; /* ascending by address; NULL, 0: nothing was traced */
	size_t live_count;
	bool survey; /* arenas say how much of what is free has content (a look per free page) */
	uint64_t memory_limit; /* bytes that the library may hold; 0: no limit */
	/* May be NULL; some times a second.  False: give up, with -ECANCELED. */
	bool (*progress)(void *arg, enum leak_step step, uint64_t done, uint64_t total);
	void *progress_arg;
};

/* ---- out: in all ---------------------------------------------------------------- */

enum leak_class {
	LEAK_LOST,	   /* nothing leads to it */
	LEAK_LOST_THROUGH, /* only another lost block leads to it: its leader */
	LEAK_HELD,	   /* a root leads to it */
	LEAK_CLASSES,
};

struct leak_sum {
	uint64_t blocks, bytes;
};

/* The name of one that has blocks, or all of them, and whose layout is not known; and of what memtrace
 * saw allocated of such ones. */
#define LEAK_UNKNOWN_ALLOCATOR "unknown"
#define LEAK_TRACED "traced"

/* An allocator that was found. */
struct leak_allocator {
	char name[16];	  /* "glibc", "musl", "jemalloc", or one of the above */
	char version[24]; /* what the layout that was found is of: "2.27-2.42"; "": of all */
	uint32_t module;  /* instance; 0: none */
	bool read;	  /* its blocks were enumerated, and all checks of the walk passed */
	char why[200]; /* not read: in words a user can act on; its memory then counts as roots
			*/
	struct leak_sum used;
	struct leak_sum
		cached; /* free blocks kept for threads' next calls (tcache, fastbins) */
	uint32_t arenas;
	uint32_t in_flight; /* chains and counters that only calls in flight explain */
};

struct leak_totals {
	struct leak_sum classes[LEAK_CLASSES];
	struct leak_sum interior; /* of LEAK_HELD: reached by pointers into the middle alone */
	uint64_t scanned_bytes;	  /* of blocks and roots */
	uint64_t root_bytes;
	uint64_t unread_bytes; /* of roots and blocks that could not be read */
	uint64_t edges, root_edges;
	uint64_t own_bytes; /* most that the library held at once */
	/* Of leak_input.live: how many are among the blocks, and how many are not, though their
	 * addresses are in a heap that was read (calls in flight, or a walk that is wrong). */
	uint64_t live_found, live_missed;
	bool traced_only; /* no allocator could be read: blocks are leak_input.live alone (else beside
			     theirs those in no heap of them) */
};

/*
 * Finds the blocks and classifies them.  -ENOTSUP: no allocator could be read, and nothing was
 * traced: err says which was found and what was wrong.  -ENOMEM: more than memory_limit would
 * be needed.  -EAGAIN: a thread was in the middle of an allocation: another picture will do.
 * -ECANCELED.
 */
int leak_create(const struct leak_input *input, struct leak **ret, struct err *err);
void leak_destroy(struct leak *leak); /* NULL is allowed */

const struct leak_totals *leak_totals(const struct leak *leak);
const struct leak_allocator *leak_allocators(const struct leak *leak, size_t *count);

/* ---- out: blocks ---------------------------------------------------------------- */

#define LEAK_NONE UINT32_MAX

struct leak_block {
	taddr_t addr;
	uint64_t size; /* what may be used: at least what was asked for (musl: exactly that) */
	enum leak_class class;
	bool interior;	  /* held: by pointers into its middle alone */
	bool doubted;	  /* lost, or in the hands of a call of the allocator: another look tells */
	uint32_t leader;  /* LEAK_LOST_THROUGH: the lost block; else LEAK_NONE */
	uint32_t context; /* by leak_input.live; 0: not traced */
	uint64_t asked;	  /* traced: the size that was asked for; else 0 */
};

uint32_t leak_count(const struct leak *leak);
void leak_block(const struct leak *leak, uint32_t index, struct leak_block *ret);
/* Calls visit for every block, in order, until it returns false, which is returned; much faster than
 * one after the other. */
bool leak_for_each_block(const struct leak *leak,
			 bool (*visit)(void *arg, uint32_t index, const struct leak_block *block),
			 void *arg);
/* The block that contains addr (tag bits are ignored), or LEAK_NONE. */
uint32_t leak_find(const struct leak *leak, taddr_t addr);

/* What a lost block takes along. */
enum leak_shape {
	LEAK_SINGLE, /* nothing */
	LEAK_LIST,   /* a chain: each leads to the next at the same offset, all of one size */
	LEAK_CYCLE,  /* some block in it leads back to the leader */
	LEAK_TREE,   /* anything else */
};

struct leak_group {
	uint32_t leader;
	enum leak_shape shape;
	struct leak_sum all; /* the leader with what is lost through it */
};
/* Every lost block, with the most bytes first (ties: lower address); the library's. */
const struct leak_group *leak_groups(const struct leak *leak, size_t *count);

/* ---- queries -------------------------------------------------------------------- */

enum leak_place_kind {
	LEAK_IN_DATA,	  /* a module's writable data */
	LEAK_IN_STACK,	  /* of a thread, at sp or above */
	LEAK_IN_REGISTER, /* of a thread */
	LEAK_IN_TLS, /* thread-local data or the thread's descriptor, by its distance from tp */
	LEAK_IN_MAPPING, /* any other memory */
	LEAK_IN_BLOCK,
};

/* Where a pointer is. */
struct leak_place {
	enum leak_place_kind kind;
	taddr_t at; /* its address; 0: a register, or in a block and not known (no picture) */
	taddr_t value;	 /* the pointer; 0: not known (no picture) */
	uint32_t block;	 /* IN_BLOCK: which one */
	uint64_t offset; /* IN_BLOCK: from its begin, UINT64_MAX: not known; IN_DATA: virtual
			    address in the file; IN_STACK: from sp; IN_TLS: from tp (as
			    int64_t); IN_REGISTER: index in regs, UINT64_MAX: a vector register;
			    IN_MAPPING: from its begin */
	int tid;	 /* IN_STACK, IN_REGISTER, IN_TLS; 0: not known */
	const struct module *module; /* IN_DATA */
	const char *section; /* IN_DATA: ".data" or ".bss", by the segment's file size */
	const struct mapping *mapping; /* all but IN_REGISTER; NULL: none */
};

/* One step of a path: a pointer, and the block that it leads to. */
struct leak_link {
	struct leak_place place;
	uint32_t block;
};

/*
 * Why blocks are held: a shortest path from a root to the block; of several, to where the ways
 * of the largest share of them part (at least half go on at each step; at most `max` links, the
 * first ones).  Returns how many links the path has, of which min(that, max) are in links; 0:
 * none is held.  *share (may be NULL): how many of the blocks are behind the last link.
 */
size_t leak_why(struct leak *leak, const uint32_t *blocks, size_t count,
		struct leak_link *links, size_t max, size_t *share);

/* How many of the blocks are held, by leak_why()'s ways, from roots in begin to end. */
size_t leak_held_from(struct leak *leak, const uint32_t *blocks, size_t count, taddr_t begin,
		      taddr_t end);

/*
 * Who points to the block that contains addr: every root and block, each place of them where
 * the picture can be read (else each block once).  Returns how many there are, of which
 * min(that, max) are in places, in order of roots, then blocks by address.
 */
size_t leak_who(struct leak *leak, taddr_t addr, struct leak_place *places, size_t max);

/* What would be reachable no longer if these held blocks were freed, they included (lost blocks
 * among them: with all that is lost and that they lead to).  A pass over the graph.  False: no memory. */
bool leak_retained(struct leak *leak, const uint32_t *blocks, size_t count,
		   struct leak_sum *ret);

/* ---- what is in a block --------------------------------------------------------- */

enum leak_content_kind {
	LEAK_CLASS, /* an object with virtual functions; text: its type_info's name, mangled as
		       in "N3app5CacheE" (put "_Z" in front; "*" of local types is cut off) */
	LEAK_OWNED, /* a block such an object leads to; text: the object's class */
	LEAK_TEXT,  /* printable; text: its beginning */
	LEAK_LIST_NODE, /* of a list that somebody heads: leak_list_head() */
	LEAK_NODE,  /* has pointers to other blocks: `pointers` many */
	LEAK_ZERO,  /* zeros */
	LEAK_UNKNOWN, /* anything else, or no picture */
};

struct leak_content {
	enum leak_content_kind kind;
	uint32_t pointers; /* to blocks */
	char text[128];	   /* NUL-terminated, printable, cut when longer */
};

/* Reads the block; LEAK_UNKNOWN without a picture. */
void leak_content(struct leak *leak, uint32_t index, struct leak_content *ret);
/* The place of the pointer to the first node of the list that a block is a node of, or, of a list that
 * is lost, the begin of that node; value stays 0.  False: it is none, or the first itself. */
bool leak_list_head(struct leak *leak, uint32_t index, struct leak_place *ret);

/* ---- what the allocator holds --------------------------------------------------- */

/* Free memory by the size of its pieces. */
enum { LEAK_FREE_CLASSES = 5 };
extern const uint64_t leak_free_sizes[LEAK_FREE_CLASSES]; /* up to so many bytes each */

struct leak_arena {
	uint32_t allocator;		    /* index in leak_allocators() */
	taddr_t addr;			    /* of its descriptor */
	bool main;			    /* glibc's: the one that grows by brk() */
	uint64_t system;		    /* bytes it has of the kernel */
	struct leak_sum used, cached, free; /* free: without cached and top */
	uint64_t top;	    /* bytes at its end that were never handed out, or came back */
	struct leak_sum free_by[LEAK_FREE_CLASSES]; /* free, by leak_free_sizes */
	uint64_t trimmable; /* whole pages among free and top: what malloc_trim(0) would give
			       back; with leak_input.survey those that have content */
	uint64_t away;	    /* with it: free and top, in whole pages that have none (given back) */
};
/* Blocks mapped one by one (mmap) are in no arena: *mapped (may be NULL). */
const struct leak_arena *leak_arenas(const struct leak *leak, size_t *count,
				     struct leak_sum *mapped);

/* The memory of allocators, ascending: a pass over it is no pass over roots. */
const struct range *leak_heaps(const struct leak *leak, size_t *count);
/* Bytes of [begin, end) that may have other content than zeros: whole pages count whole. */
uint64_t leak_present(const struct leak *leak, taddr_t begin, taddr_t end);

/*
 * Blocks that pin pages which are three quarters free or more: calls visit for each, with its
 * share of the free bytes of those pages.  In all: returns the pinned bytes.
 */
uint64_t leak_for_each_pin(struct leak *leak,
			   void (*visit)(void *arg, uint32_t block, uint64_t pinned),
			   void *arg);

#endif
