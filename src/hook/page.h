/*
 * Where a page of our own goes (tracer/pages.h makes it), for stubs of a module near which
 * there is no free space for them: below the module, within a patch's reach, and apart from
 * what is mapped, so that nothing that grows meets it; or, where the module lies at the bottom
 * of memory, between its data and its heap.  The code of the system call by which the process
 * maps it lies behind the text of the program, or for threads that wait elsewhere behind that of
 * its loader or in the vdso.
 */
#ifndef MEMTRACE_PAGE_H
#define MEMTRACE_PAGE_H

#include "hook/hooks.h"
#include "hook/padding.h"

/* Space in a page that is there, or is to be made by pages_make(). -ENOSPC: and why. */
int page_find(struct hooks *hooks, const struct module *module, struct space *ret,
	      struct err *err) MUST_CHECK;

/*
 * Makes the pages that were planned.  All threads are stopped.  -EAGAIN: let them run a moment.
 * Hooks whose page can't be made are dropped, and that is said.
 */
int pages_make(struct hooks *hooks, struct err *err) MUST_CHECK;

/* The place for that code in the vdso, which is zeros unless a predecessor's code is there.
 * False: the module is not the vdso. */
bool page_vdso_place(const struct module *module, struct space *ret);

/* A place for code that threads run for a moment.  False: there is no room for any. */
bool page_places_find(struct hooks *hooks, struct undo_places *ret);

/* Calls visit with the space in each of a predecessor's pages. */
void page_visit(const struct hook_process *process,
		void (*visit)(void *arg, const struct space *space), void *arg);

/* Those pages are ours from now on. */
void page_adopt(struct hooks *hooks);

#endif
