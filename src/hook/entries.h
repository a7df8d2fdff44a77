/*
 * Entries: which of the functions that are looked for a module has, and where.
 *
 * By the file's own symbols, or by what we were told of it (external.h).  A module whose code
 * is another machine's has none, whatever its symbols are called: a process may map such
 * files, and what is written there would be of the wrong kind.
 */
#ifndef MEMTRACE_ENTRIES_H
#define MEMTRACE_ENTRIES_H

#include "elf/module.h"
#include "unwind/external.h"

enum { ENTRIES_BASIC = 48 };

struct entries_basic {
	uint64_t value;
	bool frees;
};

struct entries { /* of a module */
	struct module *module;
	const struct arch *arch; /* the process' */
	const struct externals *externals;
	/* Of choice_for_each(): may be told, with `arg`, what is left out that may allocate.
	 */
	void (*miss)(void *arg, const char *function, const char *reason);
	void *arg;
	bool mappings;	  /* functions that map memory are followed */
	bool same_blocks; /* its operators' blocks are malloc's */
	/* malloc, free and the others whose names are reserved to them; operators that lead
	 * there. */
	struct entries_basic basic[ENTRIES_BASIC];
	size_t basic_count;
};

/* Is the module's code of this machine, by its file?  False also where that can't be read. */
bool entries_are_of(const struct module *module, const struct arch *arch);

/* May it be an allocator, or is it the loader, which has one for its own first moments? */
bool entries_may_allocate(const struct entries *entries, uint32_t loader);

/* A function by name.  False: not there. */
bool entries_find(const struct entries *entries, const char *name, struct image_symbol *ret);

#endif
