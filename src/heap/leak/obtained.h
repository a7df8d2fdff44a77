/*
 * How much memory the allocators of a process have of the kernel, by their own books: read beside
 * the process while it runs, so that a second of it costs nearly nothing.
 */
#ifndef MEMTRACE_OBTAINED_H
#define MEMTRACE_OBTAINED_H

#include "base/memory.h"
#include "elf/maps.h"
#include "heap/leak/leak.h"

struct obtained;

/*
 * Finds them: the writable data of what is mapped is read once.  `memory` must stay valid, maps
 * need not.  NULL: none that is known has given out a block yet, or memory is short.
 */
struct obtained *obtained_find(struct memory *memory, const struct maps *maps,
			       const struct leak_cpu *cpu);

/* Bytes, of all of them; false: they are not where they were, or a change was under way. */
bool obtained_read(struct obtained *obtained, uint64_t *bytes);

void obtained_destroy(struct obtained *obtained); /* NULL is allowed */

#endif
