/*
 * The agent of a memtrace that has left the process on purpose, its capture going on
 * (capture/leave.h): found, and taken up by the next one.
 *
 * Nothing of what is found is to be trusted: the program may have made all of it.
 */
#ifndef MEMTRACE_INJECT_LEFT_H
#define MEMTRACE_INJECT_LEFT_H

#include "tracer/inject.h"

struct inject_left {
	struct shared_left left;
	taddr_t code, memory, memory_end; /* memory_end: of the first of its mappings */
	struct shared shared;		  /* pieces and shift */
};

/* False: there is none that counts in this process (the child of its fork has it, too, off).  Of a memtrace
 * that was killed only one of this build is found. */
bool inject_find_left(struct tracee *tracee, uint64_t build, struct inject_left *ret);
/* A memtrace was killed whose agent counts on, for nobody: what its threads had counted by themselves.  False: there is
 * none such, or of another version. */
bool inject_find_orphan(struct tracee *tracee, uint64_t *allocs, uint64_t *frees);
/* Of the build: what this room's files make of the memory. */
uint64_t inject_build(void);
/* Its memory, mapped here, if it is of this build.  inject_forget() or inject_let_be() is due. */
int inject_take_up(struct tracee *tracee, const struct inject_left *found, struct injected *ret,
		   struct err *err) MUST_CHECK;
/* Our side of the memory goes, and it stays as it is there. */
void inject_let_be(struct injected *injected);

#endif
