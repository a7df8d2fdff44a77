/*
 * Call stacks of a stopped thread: the freestanding walk of region/walk.h, fed with
 * rows that are compiled when a pc is first met, and with the thread's stack, read
 * in one piece.
 *
 *   pc --> cache --(miss)--> module --> cfi_row() --> cache
 */
#ifndef MEMTRACE_WALKER_H
#define MEMTRACE_WALKER_H

#include "capture/agent_frames.h"
#include "capture/jit_objects.h"
#include "elf/jit_names.h"
#include "elf/module.h"
#include "hook/hooks.h"
#include "region/shared.h"
#include "region/walk.h"
#include "tracer/tracee.h"
#include "unwind/unwinder.h"

/* What a module's owner field holds. */
struct module_unwind {
	struct unwinder *unwinder; /* NULL: the module's file could not be read */
	const char *from;	   /* unwinder_from() */
	bool told;		   /* the user has been told that rows are missing */
};
void module_unwind_forget(struct module *module);
/* Opens the module's unwind data on first use.  Never NULL but when memory is short. */
const struct module_unwind *module_unwind_of(struct module *module, const struct arch *arch);

struct walker_entry {
	uint64_t key; /* pc * 2 + exact; 0: empty */
	frame_t frame;
	struct row row;
};

/* A call is looked for within another one over so many frames at least. */
enum { WALKER_NESTED = 32 };

enum { WALKER_FIRST = 4096, WALKER_WINDOW = 16 * 1024, WALKER_STUB = SHARED_STUB };

struct walker {
	struct memory memory; /* the tracee's, words of it through the window */
	struct tracee *tracee;
	const struct modules *modules;
	const struct maps *maps; /* tells what is code; NULL: everything may be */
	const struct hooks *hooks;
	const struct undo *undo;
	const struct shared *shared; /* an agent is told of rows there; NULL */
	const struct externals *externals;
	struct jit_names *jit; /* of code in no module; NULL */
	struct jit_objects *objects; /* the same, with unwind data; NULL */
	struct agent_frames agent;
	const struct module *no_rows; /* met without a row, since the caller reset this */
	struct walker_entry *cache;
	uint32_t cache_len; /* a power of two; 0: not allocated yet */
	uint32_t cache_used;
	struct walker_entry scratch; /* an answer that is not kept */
	bool unknown_pc;	     /* met a pc in no mapped code since the caller reset this */
	bool nested; /* the last walk came by a stub, and by no signal frame before it: the
			call is within another that is watched to its end */
	taddr_t first_sp;	     /* status_first_sp() */
	taddr_t window_base;
	size_t window_len;
	uint8_t window[WALKER_WINDOW];
};

/* A stack that was walked, as walker_walk() was told and answered: for what records it. */
struct walked {
	const struct regs *regs;
	taddr_t slot; /* of the return address of the function that was called */
	const frame_t *frames;
	size_t count;
	enum walk_end end;
};

void walker_init(struct walker *walker, struct tracee *tracee, const struct modules *modules,
		 const struct hooks *hooks, const struct undo *undo);
void walker_deinit(struct walker *walker);

/* A thread is telling debuggers of generated code, by that module's function (jit_objects_told()). */
void walker_hear_of_objects(struct walker *walker, uint32_t instance);
/* Modules came or went: what was learned of pcs holds no more. */
void walker_forget(struct walker *walker);

/* Reads the stack from sp on in one go (as far as it is mapped); the words below
 * come from there.  -EFAULT: nothing is mapped at sp. */
int walker_read_stack(struct walker *walker, taddr_t sp);
/* A word of the stack: from the window, or read.  0 or < 0. */
int walker_word(struct walker *walker, taddr_t addr, uint64_t *ret);

/*
 * The stack of a call: frames[0] = leaf (the function's entry), then its callers,
 * from the frame that returns to *(ra_slot) on.  regs: the thread's, whose
 * callee-saved registers are the caller's.  Returns the count, at most max.
 */
size_t walker_walk(struct walker *walker, const struct regs *regs, taddr_t ra_slot,
		   frame_t leaf, frame_t *frames, size_t max, enum walk_end *end);
/* What a walk by rows asks; the words of the stack come from the window, or are read. */
struct walk_ops walker_ops(struct walker *walker);

#endif
