/* Choice: which of the functions that a module has are watched. */
#ifndef MEMTRACE_CHOICE_H
#define MEMTRACE_CHOICE_H

#include "hook/entries.h"
#include "hook/functions.h"

/*
 * Calls visit for each function of the table (loader: of the loader's) that the module has,
 * in the table's order, until it returns non-zero, which is returned; else 0.  Left out is
 * what is not the allocator's (evidence.h), and operators that lead to what is followed.
 */
int choice_for_each(struct entries *entries, bool loader,
		    int (*visit)(void *arg, const struct function *function,
				 const struct image_symbol *symbol),
		    void *arg);

#endif
