/* Places that hold blocks, in words. */
#ifndef MEMTRACE_PATH_H
#define MEMTRACE_PATH_H

#include <stdio.h>

#include "arch/cpu.h"
#include "heap/leak/leak.h"

struct path_names {
	const struct arch *arch;
	/* The name of a thread, or NULL. */
	const char *(*thread)(void *arg, int tid);
	/* The code whose frame an address of a thread's stack is in: a module (not NULL), and an
	 * address of its file.  May be NULL. */
	bool (*frame)(void *arg, int tid, taddr_t addr, const struct module **module,
		      uint64_t *vaddr);
	void *arg;
};

/* "sessions (server .bss+0x40)", "handle()'s frame on the stack of thread 12 (worker), sp+0x28", ... */
void path_place(FILE *out, const struct path_names *names, const struct leak_place *place);
/* The root, then "-> +0x18 (of 64 bytes at 0x55..)" for each block on the way. */
void path_print(FILE *out, const struct path_names *names, struct leak *leak,
		const struct leak_link *links, size_t count);
/* The way to most of the blocks, as text: malloc'ed, NULL without memory. */
char *path_text(const struct path_names *names, struct leak *leak, const uint32_t *blocks,
		size_t count);
/* leak_content(), and as the text of a list's node what heads the list. */
void path_content_of(const struct path_names *names, struct leak *leak, uint32_t block,
		     struct leak_content *ret);
/* "objects of class app::Cache", "text \"GET /\"", "nodes", ... */
void path_content(FILE *out, const struct leak_content *content, uint64_t blocks);

#endif
