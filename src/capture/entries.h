/*
 * Entries: which of the functions that are looked for a module has, and where.
 *
 * By the file's own symbols, or by what we were told of it (supply.h).  A module whose code
 * is another machine's has none, whatever its symbols are called: a process may map such
 * files, and what is written there would be of the wrong kind.
 */
#ifndef MEMTRACE_ENTRIES_H
#define MEMTRACE_ENTRIES_H

#include "capture/hooks.h"

struct entries { /* of a module */
	struct module *module;
	const struct arch *arch; /* the process' */
	const struct supplies *supplies;
};

/* Is the module's code of this machine, by its file?  False also where that can't be read. */
bool entries_are_of(const struct module *module, const struct arch *arch);

/* May it be an allocator, or is it the loader, which has one for its own first moments? */
bool entries_may_allocate(const struct entries *entries, uint32_t loader);

/* A function by name.  False: not there. */
bool entries_find(const struct entries *entries, const char *name, struct image_symbol *ret);

/*
 * Calls visit for each function of the table (loader: of the loader's) that the module has,
 * in the table's order, until it returns non-zero, which is returned; else 0.  Left out are
 * operators that get their memory from a function which is visited, or in another module.
 */
int entries_for_each(const struct entries *entries, bool loader,
		     int (*visit)(void *arg, const struct function *function,
				  const struct image_symbol *symbol),
		     void *arg);

#endif
