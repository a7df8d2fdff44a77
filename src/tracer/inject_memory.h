/*
 * The agent's memory among the files of a process: known without opening, or asking, anything
 * that may not answer, and trusted only when nobody can change its size any more.
 */
#ifndef MEMTRACE_INJECT_MEMORY_H
#define MEMTRACE_INJECT_MEMORY_H

#include <sys/types.h>

#include "elf/maps.h"

/* By name, and a memory file, as it is mapped where an agent is; whose, it does not say. */
bool inject_is_memory(const struct mapping *mapping);

/* The same of an open file of the process (pid: in our numbers). */
bool inject_is_descriptor(pid_t pid, int descriptor);

/* The first of the process' descriptors that is one; -1. */
int inject_find_descriptor(pid_t pid);

/* Another descriptor of the file, of the kind that a memtrace keeps: by it the file can be asked (fstat), and no
 * more; in a memtrace that is watched it is not taken for one of an agent's there.  -1. */
int inject_open_to_ask(int file);

/* It has this size from now on, and can't get another.  Else err says why, in half a sentence. */
int inject_seal(int file, uint64_t bytes, struct err *err) MUST_CHECK;

/* Is it as inject_seal() makes it?  What is mapped of it can be touched. */
bool inject_is_sealed(int file, uint64_t bytes);

#endif
