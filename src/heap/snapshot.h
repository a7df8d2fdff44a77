/*
 * A snapshot: the state of the heap at one moment, as plain values that belong to
 * nobody else.  Made by capture/, read by report/ and the console while the
 * target runs on.
 */
#ifndef MEMTRACE_SNAPSHOT_H
#define MEMTRACE_SNAPSHOT_H

#include <time.h>

#include "base/err.h"
#include "base/types.h"
#include "elf/module_id.h"
#include "heap/generated.h"
#include "heap/mapped.h"
#include "region/region.h"

struct snapshot_module {
	uint32_t instance;
	struct module_id id; /* its path is ours */
	taddr_t begin, end, bias;
	bool mapped, deleted;
	char unwind_from[24]; /* ".eh_frame", ".debug_frame", "none" ...; "": no stack */
	char why[160];	      /* what is wrong with the file, or "" */
};

struct snapshot_thread {
	int tid;
	char name[16];
	char state[24];		/* "running", "stopped (SIGTSTP)", ... */
	uint64_t allocs, frees; /* events of this thread since the attach */
};

struct snapshot_missed { /* what is not followed, and therefore in no count */
	char *module;	 /* its path */
	char *function;	 /* NULL: all of the module */
	char *reason;
};
void snapshot_missed_deinit(struct snapshot_missed *missed);

struct verdicts;
struct marks;

struct snapshot {
	int pid;
	char **command; /* NULL-terminated argv of the target */
	char engine[16];
	char engine_reason[160]; /* "trap": why there is no agent; "": none was asked for */
	uint64_t stopped_calls; /* of an agent's process, those that were not counted in it; 0: there
				   is none */
	struct snapshot_alone {	/* what was counted while no memtrace was there.  Not in files either */
		uint64_t ms;	/* so long; 0: never, and all the others are 0 */
		uint64_t allocs, bytes; /* whose stacks are not known to their ends */
		uint64_t frees;		/* of blocks that nobody knew */
		uint64_t unkept;	/* blocks, or their frees, that are in no count */
	} alone;
	struct snapshot_sampling {  /* all 0: all allocations were counted */
		uint64_t coarsest;  /* a point each so many bytes at times: counts are estimates; 0 */
		uint64_t bytes;	    /* the same of now; 0: all count */
		uint64_t min_size;  /* smaller allocations are in no count, so many of them: */
		uint64_t small;
	} sampling;
	struct timespec taken;	 /* CLOCK_REALTIME */
	struct timespec started; /* when counting began: attach or last clear */
	bool running;		 /* false: the process has ended */
	bool no_allocator;		 /* no allocator was found: the counts say nothing */
	uint32_t ticks_now;	 /* in the time base of contexts' first/last_time */
	struct region_totals totals;
	/* Blocks that it had from its parent when it was born (parent 0: none), in no other count; not in
	 * snapshot files. */
	struct {
		int parent;
		uint64_t blocks, bytes, freed_blocks, freed_bytes;
	} inherited;
	struct region_node *nodes;
	uint32_t node_count;
	struct region_context *contexts; /* [0]: the overflow context */
	uint32_t context_count;
	struct snapshot_module *modules; /* by instance - 1 */
	size_t module_count;
	struct generated_names generated; /* of frames in modules that stand for such code.  In
					   * snapshot files among all names */
	struct snapshot_thread *threads;
	size_t thread_count;
	struct snapshot_missed *missed;
	size_t missed_count;
	bool maps_followed; /* what maps memory was followed (--mmap) */
	struct mapped_range *mappings; /* what it has mapped since, apart from all blocks */
	size_t mapping_count;
	char **left_behind;	 /* NULL-terminated sentences: what stays of us in the
				    process; NULL: nothing.  Not in snapshot files */
	/* Of the language's runtime, or NULL, and not in snapshot files: a sentence, that it keeps
	 * memory by itself; where frames in generated code have no names, what gives them. */
	const char *own_heap, *generated_advice;
	bool own_heap_off; /* its environment says that it does not */
	uint64_t resident_bytes; /* of the process; 0: it has ended */
	uint64_t resident_at_start; /* 0: not known */
	uint64_t obtained_bytes; /* what allocators have of the kernel, when that was last read; 0: not known */
	uint64_t region_bytes;	 /* memory of memtrace's own tables */
	const struct marks *marks; /* heap/marks.h: of its session, somebody else's; or NULL */
	struct verdicts *verdicts; /* heap/verdicts.h; NULL: nobody knows.  Freed with it */
};

/* Copies totals, nodes and contexts of a region (len bytes: region/reader.h); the rest stays
 * zero for the caller to fill in (with malloc'ed memory: snapshot_destroy() frees it).  -EINVAL
 * when the region contradicts itself: who uses a snapshot may trust its numbers.  -EAGAIN: it
 * changes too fast, or was cleared meanwhile. */
int snapshot_create(const void *region, uint64_t len, struct snapshot **ret, struct err *err) MUST_CHECK;
void snapshot_destroy(struct snapshot *snapshot); /* NULL is allowed */

/* The frames of a context, leaf first: at most max; *end says why they end
 * (WALK_DEPTH where max cut them).  Returns the count.  An id that is not there has
 * no frames and ends with WALK_LOST. */
size_t snapshot_stack(const struct snapshot *snapshot, uint32_t context, frame_t *frames,
		      size_t max, enum walk_end *end);

const struct snapshot_module *snapshot_module(const struct snapshot *snapshot,
					      uint32_t instance);

enum snapshot_order {
	SNAPSHOT_BY_VERDICT, /* those that leak, then those that grow, by most bytes an hour that
			      * are sure; then as by bytes */
	SNAPSHOT_BY_BYTES,
	SNAPSHOT_BY_BLOCKS,
	SNAPSHOT_BY_ALLOCS,
	SNAPSHOT_BY_GROWTH, /* bytes an hour, of leaks and growth */
	SNAPSHOT_BY_AGE,    /* who has not allocated for the longest */
	SNAPSHOT_BY_RATE,   /* allocations a second, since its first */
};

/* Their names, NULL-terminated. */
extern const char *const snapshot_orders[];

/*
 * The contexts to show, worst first (ties: lower id first): those with blocks in
 * use, or every context that allocated with `all`.  *ret is malloc'ed, *count ids.
 */
int snapshot_select(const struct snapshot *snapshot, enum snapshot_order order, bool all,
		    uint32_t **ret, size_t *count, struct err *err) MUST_CHECK;

#endif
