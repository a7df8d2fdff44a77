/*
 * Where a page of our own goes (tracer/pages.h makes it), for stubs of a module near which no
 * slack has room for them: below the module, within a patch's reach, and apart from what is
 * mapped, so that nothing that grows meets it.  The code of the system call by which the
 * process maps it has room in the slack of the program or its loader, or, as it needs no
 * reach, behind the code of the vdso.
 */
#ifndef MEMTRACE_PAGE_H
#define MEMTRACE_PAGE_H

#include "hook/hooks.h"
#include "hook/padding.h"

struct page_search {
	struct hooks *hooks;
	struct tracee *tracee;
	const struct modules *modules;
	const struct maps *maps;
};

/* Room in a page that is there, or is to be made by pages_make(). -ENOSPC: and why. */
int page_find(const struct page_search *search, const struct module *module, struct slack *ret,
	      struct err *err);

/*
 * Makes the pages that were planned.  All threads are stopped.  -EAGAIN: let them run a moment.
 * Hooks whose page can't be made are dropped, and that is said.
 */
int pages_make(struct hooks *hooks, struct tracee *tracee, struct undo *undo,
	       const struct modules *modules, const struct hook_notes *notes, struct err *err);

/* The room for that code in the vdso, which is zeros unless a predecessor's code is there.
 * False: the module is not the vdso. */
bool page_vdso_place(const struct module *module, struct slack *ret);

/* Calls visit with what a predecessor's pages, of all mappings, have room in. */
void page_visit(struct tracee *tracee, const struct maps *maps,
		void (*visit)(void *arg, const struct slack *slack), void *arg);

/* Those pages are ours from now on. */
void page_adopt(const struct page_search *search, struct undo *undo);

#endif
