/* What the files of heap/leak/ share; for them alone.  leak.h has the whole. */
#ifndef MEMTRACE_LEAK_PARTS_H
#define MEMTRACE_LEAK_PARTS_H

#include "base/vec.h"
#include "heap/leak/index.h"
#include "heap/leak/leak.h"
#include "heap/leak/reader.h"

/* Blocks as an allocator's walk meets them, in pieces so that they never move. */
enum { PENDING_PIECE = 32768 };

struct pending {
	taddr_t addr;
	uint64_t size;
};

struct pending_piece {
	struct pending at[PENDING_PIECE];
};

/* A word of a root that points to a block. */
struct root_edge {
	taddr_t at;	/* its address; of a register 0 */
	uint32_t block; /* LEAK_INTERIOR: into its middle */
	uint32_t word;	/* of a register: thread * ROOT_WORDS + word; else LEAK_NONE */
};
/* (words of one thread's register sets: general ones first, vector ones from ROOT_EXTRA on) */
enum { ROOT_WORDS = 16384, ROOT_EXTRA = 256 };

#define LEAK_INTERIOR 0x80000000u

/* Bits of leak.state[]. */
enum {
	STATE_HELD = 1,
	STATE_EXACT = 2,  /* a pointer of something held is to its begin */
	STATE_LOST = 4,	  /* its leader was looked for */
	STATE_LEADER = 8, /* nothing leads to it */
};

/* A thread's stack as its library made it: [begin, end), thread descriptor included, which lies
 * near its end: thread-local data may lie behind it (ARM). */
enum { DESCRIPTOR_NEAR = 64 << 10 };
struct stack {
	taddr_t begin, end;
	bool alive;
};

/* A block larger than what sizes[] can say. */
struct giant {
	uint32_t block;
	uint64_t size;
};

struct leak {
	struct leak_input in;
	struct leak_totals totals;
	uint64_t held;	      /* bytes that we hold, see leak_grow() */
	unsigned ticks;	      /* since progress was last told */
	taddr_t tag_mask;     /* the bits of a pointer that count */
	struct reader jump;   /* small windows, for what lies anywhere */
	struct reader stream; /* one large window, for what is read in order */

	VEC(struct leak_allocator) allocators;
	VEC(struct leak_arena) arenas;
	struct leak_sum mapped;
	VEC(struct range) heaps; /* no roots; ascending and apart once sealed */
	VEC(taddr_t) hand_words; /* ascending: see hands.c */
	VEC(struct range) doubts; /* blocks that a call may have in hand; sealed as heaps are */
	VEC(struct pending_piece *) pieces;
	uint64_t pending;

	struct index index;
	uint32_t count;
	uint32_t *sizes; /* bytes; GIANT: see giants */
	VEC(struct giant) giants;

	VEC(struct root_edge) roots;
	VEC(uint32_t) edges; /* targets, with LEAK_INTERIOR */
	uint32_t *first;     /* [count + 1]: where a block's edges begin */
	uint8_t *state;
	uint32_t *parent; /* held: the block before it on a shortest path, or PARENT_ROOT | root
			     edge; lost: its leader */
	uint32_t *order;  /* held blocks, nearest to the roots first */
	uint32_t held_blocks;
	VEC(struct leak_group) groups;
	VEC(struct stack) stacks;
	uint32_t list_steps; /* that looking for heads of lists took (list.c) */
};

#define GIANT	    UINT32_MAX
#define PARENT_ROOT 0x80000000u

/* Block i of those that were met. */
static inline struct pending *pending_at(const struct leak *leak, uint64_t i)
{
	return &leak->pieces.at[i / PENDING_PIECE]->at[i % PENDING_PIECE];
}

/* ---- memory of ours (budget.c): counted, with the limit held ------------------------ */

/* Zeroed; NULL: no memory, or more than the limit. */
void *leak_take(struct leak *leak, uint64_t count, size_t size);
void leak_give(struct leak *leak, void *at, uint64_t count, size_t size);
bool leak_grow_(struct leak *leak, void **at, size_t *cap, size_t want, size_t size);
/* vec_push() under the limit. */
#define leak_push(leak, v, item)                                                               \
	(leak_grow_(leak, (void **)&(v)->at, &(v)->cap, (v)->len + 1, sizeof(*(v)->at))        \
		 ? ((v)->at[(v)->len++] = (item), true)                                        \
		 : false)

/* Gives back what it has beyond len. */
void leak_trim_(struct leak *leak, void **at, size_t *cap, size_t len, size_t size);

int leak_no_memory(const struct leak *leak, struct err *err);
/* Tells how far it is, now and then; -ECANCELED. */
int leak_tick(struct leak *leak, enum leak_step step, uint64_t done, uint64_t total);

/* ---- enumeration (enumerate.c) ------------------------------------------------------ */

/* A writable segment of a module, with its bytes: where allocators keep their state. */
struct data {
	const struct module *module;
	taddr_t begin;
	size_t len;
	const uint8_t *bytes;
};

/*
 * What an allocator's enumerator does with data: 0 with ret->name "" (not here), or filled in,
 * blocks added and heaps noted; ret->read false with ret->why: found, but not to be trusted
 * (what it added is taken back).  -EAGAIN in between: a call is in progress; -ENOMEM,
 * -ECANCELED.
 */
typedef int enumerator(struct leak *leak, const struct data *data, struct leak_allocator *ret);
enumerator glibc_enumerate, musl_enumerate, musl_old_enumerate, jemalloc_enumerate;

int leak_enumerate(struct leak *leak, struct err *err);

/* ---- what enumerators come upon (collect.c) ------------------------------------------ */

/* A block.  -EEXIST: there is one; -ENOMEM. */
int leak_add(struct leak *leak, taddr_t addr, uint64_t size);
/* Not a block after all: in a cache of free ones.  Was it one? */
bool leak_drop(struct leak *leak, taddr_t addr);
/* No root.  -EFAULT: it is not mapped (which refuses the allocator); -ENOMEM. */
int leak_note_heap(struct leak *leak, taddr_t begin, taddr_t end);
/* Counts a free piece; whole: of it [begin, end) are pages that could be given back. */
void leak_add_free(struct leak *leak, struct leak_arena *arena, uint64_t size, taddr_t begin,
		   taddr_t end);
/* The same of memory that is no piece: an arena's top. */
void leak_add_whole(struct leak *leak, struct leak_arena *arena, taddr_t begin, taddr_t end);
/* What calls may have in their hands (hands.c).  Takes the words; false: no memory. */
bool leak_take_hands(struct leak *leak);
/* Is this value in a thread's registers, or near the top of its stack? */
bool leak_in_hand(const struct leak *leak, taddr_t value);
/* Blocks that begin in [begin, end) are lost only perhaps.  False: no memory. */
bool leak_doubt(struct leak *leak, taddr_t begin, taddr_t end);
/* The same of all blocks so far whose chunk, two words in front of them, is in a hand. */
bool leak_doubt_chunks(struct leak *leak);
bool leak_doubted(const struct leak *leak, taddr_t block);
/* Refuses: ret->why := the reason. */
int leak_refuse(struct leak_allocator *ret, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static inline bool refused(const struct leak_allocator *a)
{
	return a->why[0];
}

/* Anonymous, named by the kernel or not, private, writable. */
bool mapping_is_anonymous(const struct mapping *mapping);

/* Integers of the process' from bytes that are there, in its byte order, which is ours. */
static inline uint32_t u32_at(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}
static inline taddr_t word_at(const uint8_t *bytes, unsigned word)
{
	uint64_t value;

	if (word != 8)
		return u32_at(bytes);
	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* ---- after it ----------------------------------------------------------------------- */

int leak_index(struct leak *leak, struct err *err);	  /* sizes.c, by index.c's ranks */
int leak_find_stacks(struct leak *leak, struct err *err); /* stacks.c */
int leak_find_roots(struct leak *leak, struct err *err);  /* roots.c */
int leak_find_edges(struct leak *leak, struct err *err);  /* edges.c */
int leak_mark(struct leak *leak, struct err *err);	  /* mark.c */
int leak_group(struct leak *leak, struct err *err);	  /* groups.c */

/* Address (without tag) to block, with LEAK_INTERIOR; LEAK_NONE.  value: as read. */
uint32_t leak_target(const struct leak *leak, taddr_t value);
uint64_t leak_size(const struct leak *leak, uint32_t block);
/* Where in a block the first pointer to (or into) another one is: from its begin; UINT64_MAX: none. */
uint64_t leak_pointer_at(struct leak *leak, uint32_t block, uint32_t target);

/* Bytes of thread-local data that all modules want together (place.c): how far from a thread
 * pointer it reaches. */
uint64_t leak_tls_size(struct leak *leak);

/*
 * Calls visit with all of [begin, end) that can be read and has content, in pieces of whole
 * words, ascending.  *unread += what can't be read.  visit's -errno ends it.
 */
typedef int scan_visit(struct leak *leak, void *arg, taddr_t at, const uint8_t *bytes,
		       size_t len);
int leak_scan(struct leak *leak, taddr_t begin, taddr_t end, scan_visit *visit, void *arg,
	      uint64_t *unread);

#endif
