/*
 * What code that was generated is called, by what the runtime writes down of it: /tmp/perf-PID.map
 * as the process sees it, and the jitdump file that it has mapped to say where that is.
 *
 * A frame in a function that is known has one address that stands for the function, its key,
 * wherever in it the pc is: so the calls of one function are one, and its name stays when other
 * code has come to where it was.
 */
#ifndef MEMTRACE_JIT_NAMES_H
#define MEMTRACE_JIT_NAMES_H

#include "elf/file.h"
#include "elf/jit_functions.h"
#include "elf/maps.h"

struct jit_file {
	char *path; /* as the process sees it */
	bool dump;
	bool bad; /* it is no such file, or somebody else's: not looked at again */
	uint64_t dev, inode, size; /* when it was read last; inode 0: never */
	uint64_t at;	 /* so far it has been read */
	uint32_t last; /* a hash of the bytes before `at` */
};

struct jit_name {
	taddr_t key;
	char *text;
};

struct jit_names {
	struct jit_functions functions;
	VEC(struct jit_file) files;
	VEC(struct jit_name) names; /* of keys that were given, ascending */
	char scratch[JIT_NAME];
	struct files *open_by;
	int pid; /* as /proc has it: a thread of the process that lives */
};

/* {0} before.  files: must outlive it. */
void jit_names_init(struct jit_names *names, struct files *files);
void jit_names_deinit(struct jit_names *names);
/* The process is another program now. */
void jit_names_clear(struct jit_names *names);

/* Reads what is new.  *changed: something was.  That there are none, or that they can't be read,
 * is no error; -ENOMEM is one, with as much as it got. */
int jit_names_update(struct jit_names *names, int pid, const struct maps *maps, bool *changed);

/* The address that stands for the function around pc; pc itself where none is known. */
taddr_t jit_names_key(struct jit_names *names, taddr_t pc);
/* The same of a function that somebody else knows. */
taddr_t jit_names_key_of(struct jit_names *names, taddr_t begin, taddr_t end, const char *name);
/* What a key's function is called, or what is at an address that was no key yet; NULL.  Valid
 * until the next call of any function here. */
const char *jit_names_find(struct jit_names *names, taddr_t address);

#endif
