/* The functions of a module by its symbol tables: by address, and by name. */
#ifndef MEMTRACE_FUNCTIONS_H
#define MEMTRACE_FUNCTIONS_H

#include "serve/elffile.h"

struct functions;

struct function {
	uint64_t begin, size; /* size 0: the table does not say */
	const char *symbol;   /* as it stands in the file; may carry "@VERSION" */
	bool thumb;	      /* T32 code of 32-bit ARM */
	uint8_t rank;	      /* which of several names of one address is shown: the lowest */
};

/* Empty; NULL: no memory. */
struct functions *functions_create(void);
void functions_destroy(struct functions *functions); /* NULL is allowed */

/* Adds those of .symtab and .dynsym; the file must stay open.  -ENOMEM. */
int functions_add(struct functions *functions, const struct elffile *file, struct err *err) MUST_CHECK;
size_t functions_count(const struct functions *functions);

/* The function that covers vaddr, or NULL: by its size; where sizes are missing, the
 * nearest one below, unless code may lie between that no table names (no .symtab). */
const struct function *functions_at(struct functions *functions, uint64_t vaddr);

/* A function by name (with or without "@VERSION"), or NULL. */
const struct function *functions_find(struct functions *functions, const char *name);

/* The readable name, in the functions' memory. */
const char *functions_name(struct functions *functions, const struct function *function);

#endif
