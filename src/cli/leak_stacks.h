/* The stacks of the threads of a picture: whose frame an address lies in. */
#ifndef MEMTRACE_LEAK_STACKS_H
#define MEMTRACE_LEAK_STACKS_H

#include "elf/module.h"
#include "tracer/picture.h"

struct leak_stacks;

/* NULL: no memory.  All that is given must live as long. */
struct leak_stacks *leak_stacks_create(const struct picture *picture,
				       const struct modules *modules);
void leak_stacks_destroy(struct leak_stacks *stacks); /* NULL is allowed */

/* Where the code of the function is that has addr in its frame: *module, and an address of its
 * file.  False: not known. */
bool leak_stacks_find(struct leak_stacks *stacks, int tid, taddr_t addr,
		      const struct module **module, uint64_t *vaddr);

#endif
