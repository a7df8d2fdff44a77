/*
 * Mappings that were made while memtrace watched, by the call stacks that made them: a list of
 * ranges of addresses, apart from each other.
 *
 *     [begin, end) by #7     remove [b, c)      [begin, b) by #7, [c, end) by #7
 *
 * Values in, values out.  Ranges are whole pages, which the caller sees to.
 */
#ifndef MEMTRACE_MAPPED_H
#define MEMTRACE_MAPPED_H

#include "base/types.h"
#include "base/vec.h"

struct maps;

struct mapped_range {
	taddr_t begin, end;
	uint32_t context; /* as in snapshots */
	uint32_t time;	  /* ticks of the snapshot, when it was made */
};

/* A range that a thread is in a call to unmap or to move, which may still fail. */
struct mapped_taken {
	int tid;
	taddr_t slot; /* where the call's return address lies: tells calls apart */
	bool moves;   /* it was not gone when the call was left behind */
	bool below, above; /* it was cut from what goes on there */
	struct mapped_range range;
};

struct mapped {
	VEC(struct mapped_range) list; /* the highest first: new ones mostly are the lowest */
	VEC(struct mapped_taken) taken;
	uint64_t lost; /* memory was short for so many */
};

void mapped_deinit(struct mapped *mapped);
void mapped_clear(struct mapped *mapped);

/* What was there before is replaced. */
void mapped_add(struct mapped *mapped, const struct mapped_range *range);
/* The same, as a part of the one that ends where it begins, if that is of the same context. */
void mapped_extend(struct mapped *mapped, const struct mapped_range *range);
void mapped_remove(struct mapped *mapped, taddr_t begin, taddr_t end);

/* A thread is about to unmap (`moves`: to move) this; the call is settled when it returns. */
void mapped_take(struct mapped *mapped, int tid, taddr_t slot, bool moves, taddr_t begin,
		 taddr_t end);
/* The call has returned.  back: nothing came of it, or what it took stayed. */
void mapped_settle(struct mapped *mapped, int tid, taddr_t slot, bool back);
/* The thread's calls will not return: what was to be moved is where it was. */
void mapped_abandon(struct mapped *mapped, int tid);

/* What is not mapped any more, by whatever way, is left out. */
void mapped_reconcile(struct mapped *mapped, const struct maps *maps);

/* What is mapped by one call stack. */
struct mapped_sum {
	uint32_t context;
	uint32_t first_time, last_time;
	uint64_t mappings, bytes;
};
/* The most bytes first (ties: lower context); malloc'ed.  False: memory is short. */
bool mapped_sums(const struct mapped_range *list, size_t count, struct mapped_sum **ret,
		 size_t *sums);

#endif
