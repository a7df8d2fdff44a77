/*
 * What memtrace and an agent in its target both come to: a memory that both map, each at an
 * address of its own.
 *
 *    0                                     SHARED_TOLD_BYTES
 *    +------+-------+--------+-----------+-------+---------+------+-------+-------+----------+-----------+--------+
 *    | told | hooks | places | pcs       | taken | threads | refs | index | nodes | contexts |
 * directory | pieces | |      |       |        | (rows)    |       |         |      |       |
 * |          |           | 64 KiB |
 *    +------+-------+--------+-----------+-------+---------+------+-------+-------+----------+-----------+--------+
 *      what memtrace tells: the target      what both write
 *      maps it to be read alone
 *
 *    malloc   thread pointer --> place;  pc --> pc's row --> ... --> frames --> node -->
 * context thread, context --> counters (in a piece);  address --> live block (in a piece) free
 * address --> live block --> context --> counters
 *
 * Invariants:
 *  - The places of all parts are constants, and every number that is read from the memory is
 *    held against a constant, or the handle's, before it is used.  So whatever the bytes are
 *    (the program may write over them), nothing outside is touched, and every loop ends.
 *  - What makes the agent read memory of the program's (rows, the bounds of stacks, which
 *    function was called) is in the part that the program can't write to.
 *  - Nobody waits for anybody, and nobody holds anything: a thread may end, or be interrupted
 *    for ever, at any instruction.  What was begun then is at worst a node, a context's number
 *    or a piece that nobody uses.
 *  - An item that is found is complete: it is filled first and entered by a compare-and-swap,
 *    or a store with release, of 32 bits.
 *  - What does not fit is not kept: the caller is told, and goes the slow way.
 *
 * It is sparse: a memory file, of which only what was written to takes memory.
 */
#ifndef MEMTRACE_SHARED_H
#define MEMTRACE_SHARED_H

#include <stddef.h>

#include "region/frame.h"
#include "region/row.h"
#include "region/sample.h"

#define SHARED_MAGIC   0x64726168736d74ull /* "tmshard", little-endian */
#define SHARED_VERSION 8u
#define SHARED_PIECE   65536u
#define SHARED_PATH    "/memfd:memtrace-agent" /* as /proc has it; the name is the blob's */

/* Of an address space of 32 bits it takes less. */
#define SHARED_WIDE (__SIZEOF_POINTER__ == 8)

enum {
	SHARED_HOOKS = 512,
	SHARED_THREADS = 1 << (SHARED_WIDE ? 13 : 11),
	SHARED_PCS = 1 << 17,
	SHARED_PCS_OF_PAGE = 128, /* pages of 4 KiB */
	SHARED_PCS_PAGES = SHARED_PCS / SHARED_PCS_OF_PAGE,
	SHARED_INDEX = 1 << 21,
	SHARED_NODES = 1 << 20,
	SHARED_CONTEXTS = 1 << 20, /* [0] is none */
	SHARED_DIRECTORY = 1 << 16,
	SHARED_PIECES = 1 << 14,			     /* at most */
	SHARED_REFS = SHARED_CONTEXTS / (SHARED_PIECE / 32), /* of a thread, to its counters */
	SHARED_ROWS = SHARED_THREADS + 32, /* of refs; [SHARED_THREADS]: of who has no place */
};

/* What a hooked function's call means: as far as the agent knows it. */
enum shared_kind {
	SHARED_SLOW = 0, /* by the trap alone */
	SHARED_ALLOC,	 /* size = argument `size` */
	SHARED_CALLOC,	 /* size = argument 0 x argument 1 */
	SHARED_ALIGN,	 /* size = argument 2, block = *argument 0 if the result is 0 */
	SHARED_FREE,	 /* block = argument 0 */
	SHARED_REALLOC,	 /* block = argument 0, size = argument 1 */
	SHARED_REALLOCARRAY, /* block = argument 0, size = argument 1 x argument 2 */
	SHARED_LOADER,	     /* modules come or go */
};

/* Beside a hook's number: the call has just been entered (of those that are asked about at both
 * sides). */
#define SHARED_ENTERED (1u << 16)
/* The instance of frames within our own stubs, which the program never had. */
#define SHARED_STUB (FRAME_INSTANCES - 1)

struct shared_hook {   /* W memtrace before any stub leads to the agent; R agent */
	frame_t frame; /* the function's entry: the leaf */
	uint32_t kind; /* enum shared_kind */
	uint32_t size; /* SHARED_ALLOC: which argument, 0..2 */
};

/* Where a thread may be counted, by its thread pointer.  W memtrace, when it is stopped; R agent. */
struct shared_place {
	uint64_t pointer; /* stored last; 0: free.  It stays when its thread ends */
	uint64_t low,
		high; /* its stack, all of it mapped from its sp up to high.  0: not known,
		       * or two threads have the pointer: its calls go the slow way */
	uint64_t reserved;
};

#define SHARED_PASSED 1u /* it does not count */
#define SHARED_BUSY 1u /* the thread is at it: nobody else is to look */

/* A realloc that was entered and has not returned: its block is out of the table, and not counted
 * as freed yet. */
struct shared_pending {
	uint64_t slot; /* where its return address lies; 0: there is none; + SHARED_BUSY */
	uint64_t addr, size;
	uint32_t context; /* 0: no block was taken, or it is in no count (any more) */
	uint16_t age, level;
};

/* A thread's own, at its place's number.  W the thread, and memtrace while it is stopped; R both.
 * For last_free, last_alloc see struct book_thread. */
struct shared_thread {
	uint64_t last_free, last_alloc;
	uint64_t free_slot; /* where the return address of its last free lay, by ... */
	uint32_t free_hook, reserved; /* ... which hook */
	uint64_t allocs, frees;
	struct shared_pending pending;
	uint64_t inner; /* what an inner call has returned, and no outer one yet (book.h); 0 */
	struct sampler sampler; /* the thread's alone */
	/* Of the allocation that is being counted: its slot, and SHARED_PASSED; for who does the rest,
	 * if the call goes the slow way.  0: none, or it was not asked about. */
	uint64_t selected;
	uint64_t small; /* allocations that were below told->min_size */
	uint64_t passed; /* and those that were none of a sample */
	uint64_t small_slot; /* of the last one that was too small */
	uint64_t spare[6];
};

/* A pc whose row is known.  W memtrace, R agent; the key last, released. */
struct shared_pc {
	uint64_t key; /* pc * 2 + exact; 0: free */
	frame_t frame;
	struct row row;
	uint32_t reserved;
};

/* By thread and context.  W the thread, R memtrace. */
struct shared_counters {
	uint64_t allocs, allocated_bytes;
	uint64_t frees, freed_bytes; /* of blocks that the context allocated, in any thread */
};

struct shared_node { /* W who makes it, before it is in the index; R both */
	frame_t frame;
	uint32_t parent;  /* < WALK_ENDS: a root, = enum walk_end.  Else a lower number */
	uint32_t context; /* 0: none.  W by compare-and-swap, once */
};

struct shared_chunk {	/* W who is the first to need it, by compare-and-swap; R both */
	uint32_t key;	/* which addresses + 1; 0: free */
	uint32_t piece; /* + 1; 0: not there yet */
};

/* A frame of a thread's last walk: what each look at it needs, ... */
struct shared_link {
	uint64_t pc;
	uint64_t ra_at; /* where the caller's pc was read; + SHARED_SPECIAL */
};

#define SHARED_SPECIAL 1u /* fp says where its CFA is, or the walk ended here */

/* ... and the rest.  What is "at" is so far above sp, + 1; 0: there is none. */
struct shared_frame {
	uint64_t sp;
	frame_t frame;
	uint32_t node, parent; /* of the stack from here to the root; node 0: not looked for */
	uint32_t fp_at;	       /* where the caller's fp was saved */
	uint32_t by_fp;	       /* where fp led; it is of no interest where it says nothing */
};

/* A frame of earlier walks, wherever they led; pc 0: none. */
struct shared_met {
	struct shared_link link;
	struct shared_frame frame;
	uint64_t cfa;
};

/* The context of a leaf that `innermost` has called; 0: none. */
struct shared_leaf {
	frame_t leaf;
	uint32_t innermost, context;
};

enum {
	SHARED_FRAMES = 84,
	SHARED_MET = SHARED_WIDE ? 128 : 32,
	SHARED_LEAFS = SHARED_MET / 2,
};

/* A thread's last walk (agent/remembered.h).  W, R the thread. */
struct shared_walk {
	uint64_t busy; /* the slot of the call that works on it; 0 */
	uint32_t sequence, count;
	frame_t leaf; /* and its context, of the whole tail */
	uint32_t context;
	uint32_t changes; /* how often it was written to */
	uint32_t end; /* enum walk_end: of tail[0] */
	uint32_t met_sequence; /* whose rows `met` and `leafs` are of */
	uint32_t reserved[6];
	struct shared_link link[SHARED_FRAMES], scratch_link[SHARED_FRAMES];
	struct shared_frame tail[SHARED_FRAMES], scratch[SHARED_FRAMES];
	uint64_t spare[8];
	struct shared_met met[SHARED_MET];
	struct shared_leaf leafs[SHARED_LEAFS];
};

struct shared_told {	/* W memtrace, R agent */
	uint64_t magic; /* last of all */
	uint32_t version;
	uint32_t told_bytes; /* SHARED_TOLD_BYTES */
	uint32_t sequence;   /* odd while pcs are forgotten (known.h) */
	uint32_t depth;	     /* frames that a stack is kept with */
	uint32_t threads;    /* places that were ever taken: listed, by their numbers */
	uint32_t age;	     /* that blocks get now (live.h) */
	uint64_t first_sp;   /* of struct walk_ops */
	uint64_t loader_state; /* where the loader says what it does (r_state of <link.h>); 0 */
	uint32_t alone; /* not 0: no memtrace is there (agent/alone.h) */
	uint32_t selects; /* 0: all allocations count.  Else SHARED_SELECTS + the sample's level */
	uint64_t min_size; /* smaller ones do not count */
	uint64_t seed; /* of all threads' random numbers */
	uint32_t coarsest; /* level, since the counts began.  W, R memtrace */
	uint32_t owner; /* whose end is memtrace's: a thread's number.  SHARED_OWNER_DIED, by the kernel: it
			 * was killed, and nobody is there.  0: nobody says */
	uint32_t pcs_used[SHARED_PCS_PAGES / 32]; /* W, R memtrace: a bit for each page of pcs */
};

/* What the agent alone could not resolve, since the capture began. */
struct shared_alone {
	uint64_t allocs, bytes; /* of stacks that end with WALK_ALONE */
	uint64_t frees;		/* of blocks that nobody knew */
	uint64_t unkept;	/* blocks that are in no table, or whose free is in no count */
};

struct shared_taken { /* W both: the next numbers, which may be beyond what there is */
	uint32_t nodes, contexts, pieces;
	uint32_t full; /* one bit for each part that had no room, 1 << enum shared_part */
	uint32_t moved; /* not 0: modules have gone while nobody was there; pcs say nothing.  W agent;
			 * memtrace, when it comes */
	uint32_t reserved;
	struct shared_alone alone; /* W agent, R memtrace */
};

enum shared_part {
	SHARED_PART_NODES,
	SHARED_PART_CONTEXTS,
	SHARED_PART_DIRECTORY,
	SHARED_PART_PIECES,
	SHARED_PART_PLACE, /* two blocks are closer than shift says */
};

/* In told->selects: not all allocations count; what is freed without having been seen is
 * nobody's then. */
#define SHARED_SELECTS (1u << 8)

#define SHARED_FULL_BLOCKS                                                                     \
	(1u << SHARED_PART_DIRECTORY | 1u << SHARED_PART_PIECES | 1u << SHARED_PART_PLACE)

#define SHARED_LEFT_MAGIC 0x74666c2d65636172ull /* "race-lft", little-endian */
#define SHARED_ESTATE_BYTES (SHARED_WIDE ? 64u << 20 : 16u << 20) /* what a memtrace that has left writes for the next one */

#define SHARED_KEPT_MAGIC 0x7470656b2d656372ull /* while a memtrace is there, or was killed */
#define SHARED_OWNER_DIED (1u << 30) /* FUTEX_OWNER_DIED */

struct shared_estate_place { /* the second is half of SHARED_ESTATE_BYTES behind the first */
	uint64_t bytes, hash;
};

/* Says that a memtrace has left, and which: up to the version all versions know it.  W, R memtrace. */
struct shared_left {
	uint64_t magic;	 /* last of all; SHARED_LEFT_MAGIC, SHARED_KEPT_MAGIC */
	uint64_t build;	 /* who else can read its estate */
	uint64_t start_time; /* of the process: field 22 of /proc/PID/stat */
	uint64_t left_ns;    /* CLOCK_REALTIME */
	uint32_t current; /* 1, 2: the estate's place; 0: none is whole */
	uint32_t lacks_room; /* for the estate: it is tried again with the next sum */
	uint32_t reserved[2];
	char version[64];
	struct shared_estate_place place[2];
};

/* ---- where they are ---------------------------------------------------------- */

#define SHARED_LEFT_AT	    2048u /* of every version: struct shared_left */
#define SHARED_HOOKS_AT	    4096u
#define SHARED_LIST_AT 16384u /* of places: uint16_t each */
#define SHARED_PLACES_AT    65536u
#define SHARED_PCS_AT	    (SHARED_PLACES_AT + SHARED_THREADS * sizeof(struct shared_place))
#define SHARED_ESTATE_AT    (SHARED_PCS_AT + SHARED_PCS * sizeof(struct shared_pc))
#define SHARED_TOLD_BYTES   (SHARED_ESTATE_AT + SHARED_ESTATE_BYTES)
#define SHARED_TAKEN_AT	    SHARED_TOLD_BYTES
#define SHARED_THREADS_AT   (SHARED_TAKEN_AT + 65536u)
#define SHARED_REFS_AT	    (SHARED_THREADS_AT + SHARED_THREADS * sizeof(struct shared_thread))
#define SHARED_INDEX_AT	    (SHARED_REFS_AT + SHARED_ROWS * SHARED_REFS * sizeof(uint32_t))
#define SHARED_NODES_AT	    (SHARED_INDEX_AT + SHARED_INDEX * sizeof(uint32_t))
#define SHARED_CONTEXTS_AT  (SHARED_NODES_AT + SHARED_NODES * sizeof(struct shared_node))
#define SHARED_DIRECTORY_AT (SHARED_CONTEXTS_AT + SHARED_CONTEXTS * sizeof(uint32_t))
#define SHARED_WALKS_AT	    (SHARED_DIRECTORY_AT + SHARED_DIRECTORY * sizeof(struct shared_chunk))
#define SHARED_PIECES_AT    (SHARED_WALKS_AT + SHARED_THREADS * sizeof(struct shared_walk))

_Static_assert(sizeof(struct shared_hook) == 16, "the layout is versioned");
_Static_assert(sizeof(struct shared_place) == 32, "the layout is versioned");
_Static_assert(sizeof(struct shared_thread) == 192, "the layout is versioned");
_Static_assert(sizeof(struct shared_pc) == 32, "the layout is versioned");
_Static_assert(sizeof(struct shared_counters) == 32, "the layout is versioned");
_Static_assert(sizeof(struct shared_node) == 16, "the layout is versioned");
_Static_assert(sizeof(struct shared_walk) == (SHARED_WIDE ? 16384 : 10240), "the layout is versioned");
_Static_assert(sizeof(struct shared_told) == 208 && sizeof(struct shared_taken) == 56,
	       "versioned");
_Static_assert(sizeof(struct shared_told) <= SHARED_LEFT_AT &&
		       SHARED_LEFT_AT + sizeof(struct shared_left) <= SHARED_HOOKS_AT,
	       "both are in the first page");
_Static_assert(SHARED_HOOKS_AT + SHARED_HOOKS * sizeof(struct shared_hook) <= SHARED_LIST_AT &&
		       SHARED_LIST_AT + SHARED_THREADS * sizeof(uint16_t) <= SHARED_PLACES_AT,
	       "hooks and the list are within the first 64 KiB");
_Static_assert(SHARED_TOLD_BYTES % SHARED_PIECE == 0, "pages are not shared by the two parts");
_Static_assert(SHARED_PIECES_AT % SHARED_PIECE == 0, "pieces are whole pages");

/* Who comes to the memory.  Of his own: nothing in it is read from the memory itself. */
struct shared {
	uint8_t *base;
	uint32_t pieces; /* that there is room for, at most SHARED_PIECES */
	uint32_t shift;	 /* blocks are at least 1 << shift bytes apart: 3 .. 5 (live.h) */
};

static inline uint64_t shared_bytes(uint32_t pieces)
{
	return SHARED_PIECES_AT + (uint64_t)pieces * SHARED_PIECE;
}

static inline void *shared_at(const struct shared *shared, uint64_t offset)
{
	return shared->base + offset;
}

static inline struct shared_told *shared_told(const struct shared *shared)
{
	return shared_at(shared, 0);
}

static inline struct shared_taken *shared_taken(const struct shared *shared)
{
	return shared_at(shared, SHARED_TAKEN_AT);
}

/* hook: any number. */
static inline struct shared_hook *shared_hook(const struct shared *shared, uint32_t hook)
{
	return shared_at(shared,
			 SHARED_HOOKS_AT + hook % SHARED_HOOKS * sizeof(struct shared_hook));
}

static inline struct shared_walk *shared_walk(const struct shared *shared, uint32_t thread)
{
	return shared_at(shared, SHARED_WALKS_AT + thread % SHARED_THREADS *
							   sizeof(struct shared_walk));
}

/* Begins in a memory that is zero.  False: pieces or shift are out of bounds. */
bool shared_init(const struct shared *shared, uint32_t depth);

/* Is it a memory of this version? */
bool shared_is_sound(const struct shared *shared);

/* The part had no room.  Anybody may say so; memtrace tells the user. */
void shared_full(const struct shared *shared, enum shared_part part);
bool shared_is_full(const struct shared *shared, enum shared_part part);

/* A number of those that `next` counts, below `end`; 0: there is none left (0 itself is never
 * given: `next` begins at 1 or above). */
uint32_t shared_number(uint32_t *next, uint32_t end);

/*
 * What *ref names: a piece of SHARED_PIECE bytes that began as zeros.  The first one who asks
 * gets one for it.  NULL: there is none, or *ref is not sound.
 */
void *shared_piece(const struct shared *shared, uint32_t *ref);
/* The same, but NULL where nobody has asked for one. */
void *shared_piece_at(const struct shared *shared, const uint32_t *ref);

#endif
