/*
 * Children that another memtrace is to follow from their birth (--follow=fork), or from the begin of a
 * program (wanted.h): what it needs to be followed goes there as one file in memory.
 *
 *    parent's engine                                    child's engine
 *    STOP_CHILD: put back, its parent's blocks
 *        copied, made to wait (tracer/handover.h) --->  heir_open(): taken, its inherited blocks known
 *        heirs_child()             a socket             engine_attach()
 *
 * The blocks are the book's of the moment in which the birth is seen: where other threads of the
 * parent allocate in that moment, some may be there that the child has not.
 */
#ifndef MEMTRACE_HEIRS_H
#define MEMTRACE_HEIRS_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/types.h"
#include "tracer/handover.h"

struct engine;

/* In memory that all memtraces of a session share. */
struct heirs_room {
	_Atomic int left;      /* so many more may be followed now */
	_Atomic int total;     /* .. in all */
	_Atomic int refused;   /* children that were let go for want of it */
};

/* For one more; of none left, that is counted.  What was taken for one that can't be followed goes back. */
bool heirs_take_room(struct heirs_room *room);
void heirs_give_room_back(struct heirs_room *room);

struct heirs {
	int socket; /* where the files go: SOCK_SEQPACKET; -1: children are not followed */
	struct heirs_room *room;
	bool forks; /* those by fork() */
	const char *programs; /* those that begin one of these (wanted.h): names, "exec" for any, with commas
			       * between them; NULL: none */
	bool once;	/* .. the first of them; the process is but its wrapper */
	bool own;	/* the process itself has begun one of them */
	unsigned given; /* so many were */
	bool failed;	/* one could not be handed over: said */
	bool full;	/* .. and that there are more descendants than are kept an eye on */
};

/* A fork child, put back; a vfork child behind its exec; a runner at its exec.  False: it is to be let go, or
 * to go on. */
bool heirs_child(struct engine *engine, struct thread *child);
bool heirs_program(struct engine *engine, struct thread *sharer);
bool heirs_runner(struct engine *engine, pid_t runner);

/* What comes over the socket, as SCM_RIGHTS: its process, and the descriptor of the file.  False:
 * there is nothing now. */
bool heirs_receive(int socket, pid_t *pid, int *file);

/* It can't be followed: it need not wait. */
void heirs_decline(int file);

/* The blocks that a process has from its parent; those that are freed leave. */
struct inherited {
	pid_t parent; /* 0: nothing is inherited */
	uint64_t blocks, bytes, freed_blocks, freed_bytes;
	struct inherited_block {
		uint64_t addr, size; /* addr 0: the slot is empty; 1: the block was freed */
	} *slots; /* open addressing */
	size_t capacity; /* a power of two */
};

/* Reads the file, which stays open: how it waits, and what it has. */
int heir_open(int file, struct handover *given, struct inherited *ret,
	      struct err *err) MUST_CHECK;
/* As struct book has it: arg is a struct inherited. */
bool inherited_is_freed(void *arg, uint64_t addr);
void inherited_forget(struct inherited *inherited);

#endif
