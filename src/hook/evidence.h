/*
 * Evidence: is a function what its name says?
 *
 * malloc, free, calloc and realloc are reserved to the C library and to who replaces it (C11
 * 7.1.3): a program can't mean something else by them, but for functions local to a file.
 * Other names may mean anything in a program: `cfree`, `valloc`, `free_sized`.  They count
 * where something shows that they are the allocator's.  Where nothing does they are left
 * alone; and if they are an allocator's after all, their memory mostly comes from one that is
 * followed: a function that leads there is followed by that.
 */
#ifndef MEMTRACE_EVIDENCE_H
#define MEMTRACE_EVIDENCE_H

#include "arch/trap.h"
#include "hook/entries.h"
#include "hook/functions.h"

/* Is the function the allocator's, whose module has malloc and free? */
bool evidence_is_allocators(const struct entries *entries, const struct function *function,
			    const struct image_symbol *symbol);

/* Fills in entries->basic, which the others need. */
void evidence_prepare(struct entries *entries);

bool evidence_has_malloc(const struct entries *entries);

/* Does the function get its memory from, or give it to, one of those that count in whatever
 * module they are?  By its code; deep: and that of what it calls.  Then what leads to it does
 * so, too. */
bool evidence_leads_on(struct entries *entries, const struct function *function,
		       const struct image_symbol *symbol, bool deep);

/* Is operator delete free by another name, so that a block of malloc's may take the place of
 * one of operator new's?  (Allocators that check tell them apart.) */
bool evidence_delete_is_free(const struct entries *entries);

#endif
