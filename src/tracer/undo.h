/*
 * The undo log: every change to a target's memory, written down before it is made.
 *
 * It lies in shared memory, so that the guardian (guardian.h) finds it when
 * memtrace is no more.  Two kinds of change:
 *
 *   patch  a few bytes of a function's entry.  Undone = the old bytes are back.
 *   area   stubs behind a module's text.  Undone in two steps: `disarm` makes the payload
 *          return at once, so that threads inside go on and leave; `wipe` puts the
 *          old bytes back, once no thread can be inside or return there.
 *   page   memory that the process was made to map for stubs; pages.h unmaps it, when it
 *          is empty again.
 *   agent  code and memory that it was made to map (inject.h).  Undone = it is off; inject.h
 *          unmaps it, when nothing leads there and nobody is inside.
 *
 * Somebody else may have written over a patch of ours, and then has a copy of it in code of
 * his own, which leads into our stubs.  What he wrote stays, and so does every area, disarmed,
 * and marked as held for memtraces to come.
 *
 * A log entry is complete before it is marked active, and active before the
 * target is written: killed between any two instructions, the log never says less
 * than what was done.
 */
#ifndef MEMTRACE_UNDO_H
#define MEMTRACE_UNDO_H

#include "arch/trap.h"
#include "tracer/target.h"

enum {
	UNDO_PATCHES = 1024,
	UNDO_AREAS = 32,
	UNDO_AREA_BYTES = 2048,
	UNDO_HELD_AT = 12, /* a word of an area's header (arch.h): not 0 where it is held */
	UNDO_PAGES = 8,
	UNDO_HELD = 64,
	UNDO_PLACE_BYTES = 16 + REMOTE_CODE,
};

struct undo_patch {
	taddr_t addr;
	uint32_t active;
	uint32_t len;
	uint8_t old[16], now[16];
};

/* The one breakpoint that is shorter than a patch: x86's int3, here over our jmp. */
static inline bool undo_has_breakpoint(const struct undo_patch *patch, const uint8_t *there)
{
	return patch->now[0] == 0xe9 && there[0] == 0xcc;
}

struct undo_area {
	taddr_t base;
	uint32_t active;
	uint32_t len;
	taddr_t payload;
	uint32_t disarm_len;
	uint8_t disarm[8];
	uint32_t head_len;
	uint8_t head[8]; /* what begins it: as long as that is there, it is ours */
	uint8_t old[UNDO_AREA_BYTES];
};

/* Room for code that a thread runs for a moment (remote.h), and what is there else. */
struct undo_place {
	taddr_t base; /* 0: there is none */
	uint32_t room; /* at most UNDO_PLACE_BYTES */
	uint8_t old[UNDO_PLACE_BYTES];
};

/* Some near each code where threads wait. */
struct undo_places {
	struct undo_place at[2];
};

struct undo_page {
	taddr_t base;
	uint32_t len; /* 0: the entry is not in use */
	struct undo_places places; /* for the call that unmaps it */
};

/* Code at base, where the kernel is asked to put it; what switches it on lies at control. */
struct undo_agent {
	taddr_t base;
	uint32_t len; /* 0: there is none, nor is there to be one; control is the last page of it */
	uint32_t held; /* not 0: stubs of a predecessor's that lead there stay, and so does it, off */
	taddr_t control;
	taddr_t memory; /* shared with us */
	uint64_t memory_len; /* 0: not there yet */
	uint8_t head[8];     /* what begins it: as long as that is there, it is ours */
	struct undo_places places; /* for the calls that unmap both */
};

/* A new process that was made to wait for another tracer by code there (handover.h). */
struct undo_held {
	pid_t pid; /* 0: the entry is not in use */
	taddr_t base;
	taddr_t behind; /* the pc where it has waited; 0: it does not yet */
};

struct undo {
	struct undo_agent agent;
	uint32_t patch_count, area_count;
	struct undo_patch patch[UNDO_PATCHES];
	struct undo_area area[UNDO_AREAS];
	struct undo_page page[UNDO_PAGES];
	uint32_t held_next;
	struct undo_held held[UNDO_HELD]; /* the last of them */
};

/* *word becomes 0 before something comes into the log, or an area out of it: what is said of the target
 * elsewhere is no longer all.  NULL: no word.  One log of this process has one. */
void undo_warns(const struct undo *undo, uint32_t *word);

/* In shared memory; undo_destroy() unmaps.  NULL: memory is short. */
struct undo *undo_create(void);
void undo_destroy(struct undo *undo);

/* Log, then write.  -ENOSPC: the log is full (nothing was written).  Entries that
 * were forgotten are used again; two active ones that overlap must have been made with
 * nothing forgotten before. */
int undo_patch(struct undo *undo, struct target *target, taddr_t addr, const void *old,
	       const void *now, uint32_t len);
int undo_area(struct undo *undo, struct target *target, taddr_t base, const void *old,
	      const void *now, uint32_t len, taddr_t payload, const void *disarm,
	      uint32_t disarm_len);
/* An area that is in the log from base on gets other bytes, which are undone as the first were.
 * -ENOENT: it is not, or not so long; nothing was written. */
int undo_area_change(const struct undo *undo, struct target *target, taddr_t base,
		     const void *bytes, uint32_t len);
/* The first bytes of a page that is in the log; undone when it is unmapped. */
int undo_page_begin(const struct undo_page *page, struct target *target, const void *bytes,
		    uint32_t len);

/* An agent that is about to be mapped. */
void undo_agent(struct undo *undo, const struct undo_agent *agent);
/* Stubs that are not in the log lead there: nobody may take it out; or no more. */
void undo_agent_hold(struct undo *undo, bool held);
/* What of it is about to be. */
void undo_agent_memory(struct undo *undo, taddr_t memory, uint64_t len);
/* Bytes of an agent that is in the log, from its base + offset on; undone when it is unmapped. */
int undo_agent_write(const struct undo *undo, struct target *target, uint32_t offset,
		     const void *bytes, uint32_t len);
/* Is addr in its code? */
bool undo_is_agent(const struct undo *undo, taddr_t addr);

/*
 * Switches the agent off, puts the patches back, newest first, and disarms the areas, in `target` (the
 * process itself, or a fork child with a copy of its memory).  The log stays.
 * The first error, or 0; goes on behind an error.
 */
int undo_run(const struct undo *undo, struct target *target);
/* Payloads that do nothing for a moment: whoever meets them goes on as if nobody were there. */
struct undo_payloads {
	uint8_t bytes[UNDO_AREAS][8];
};
int undo_disarm(const struct undo *undo, struct target *target, struct undo_payloads *ret);
int undo_rearm(const struct undo *undo, struct target *target,
	       const struct undo_payloads *payloads);
/* Puts the areas' old bytes back, or marks them as held where undo_others() found something.
 * Only when no thread can be inside. */
int undo_wipe(const struct undo *undo, struct target *target);
/* Both, of threads that are all stopped, with what undo_run() has seen: where each patch was as we wrote
 * it, nobody is asked again.  False: somebody is inside, the areas stay, disarmed. */
bool undo_all(const struct undo *undo, struct target *target, bool (*is_inside)(void *arg), void *arg);
/* How many functions, after undo_run(), are neither as before nor as we patched them; *first:
 * where one of them is patched.  A breakpoint on a patch's first byte does not count. */
size_t undo_others(const struct undo *undo, struct target *target, taddr_t *first);
/* Calls visit for each function whose patch is not there any more as we wrote it, before
 * undo_run(): somebody has written over it.  What can't be read is passed over. */
void undo_for_each_replaced(const struct undo *undo, struct target *target,
			    void (*visit)(void *arg, taddr_t addr), void *arg);
/* The old bytes of the one area at base come back, and it is forgotten: nobody is inside. */
int undo_take_back(struct undo *undo, struct target *target, taddr_t base);
/* What a memtrace that was killed with its guardian has left of a place comes to its end, where
 * zeros belong and nobody is inside.  Not logged: killed before it or behind it, this may be done
 * again. */
int undo_wipe_place(struct target *target, const struct undo_place *place);
/* A process that is about to be made to wait; the oldest of them is forgotten. */
struct undo_held *undo_held(struct undo *undo, pid_t pid, taddr_t base);
/* What was there where code that was taken away had its data, below a stack. */
int undo_put_words(struct target *target, taddr_t addr, const void *words, uint32_t len);
/* A page that is about to be mapped.  NULL: the log is full. */
struct undo_page *undo_page(struct undo *undo, taddr_t base, uint32_t len,
			    const struct undo_places *places);
/* Are its bytes there? */
bool undo_is_patched(const struct undo_patch *patch, struct target *target);
/* Has it a patch, and an area (if any was made)?  Who has a patch's bytes alone is no copy of the target. */
bool undo_is_in(const struct undo *undo, struct target *target);
/* Is addr within an area, or the agent's code? */
bool undo_covers(const struct undo *undo, taddr_t addr);
/* The log, which is empty, says all that another one says, but of processes that wait; in an order in which
 * a kill may come anywhere. */
void undo_take_up(struct undo *undo, const struct undo *other);
/* [begin, end) was unmapped: what was changed there is gone. */
void undo_forget(struct undo *undo, taddr_t begin, taddr_t end);
/* Everything was undone, or the memory is gone (exec): the log is empty again. */
void undo_clear(struct undo *undo);

#endif
