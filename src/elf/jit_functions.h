/*
 * Which function lies where in code that was generated: what two formats of files say, one table.
 *
 *   perf map   a line of text each: START SIZE NAME, in hex (linux/tools/perf/Documentation/
 *              jit-interface.txt)
 *   jitdump    records, of which JIT_CODE_LOAD is read (jitdump-specification.txt beside it)
 *
 * Both only grow; what comes later is true where it lies over what came earlier.
 */
#ifndef MEMTRACE_JIT_FUNCTIONS_H
#define MEMTRACE_JIT_FUNCTIONS_H

#include "base/memory.h"
#include "base/vec.h"

struct jit_function {
	taddr_t begin, end;
	taddr_t key;	/* what stands for it in frames; 0: not given yet */
	uint64_t at;	/* its line or record in the file */
	uint32_t file;	/* the caller's number of that */
	uint32_t order; /* how many came before it */
};

struct jit_functions {
	VEC(struct jit_function) list;	/* ascending, apart from each other */
	VEC(struct jit_function) news;	/* as they came, until jit_functions_merge() */
	uint32_t count;			/* that came */
};

enum {
	JIT_NAME = 512,		     /* bytes of a name that are kept, and the 0 */
	JIT_LINE = 4096,	     /* a longer line is passed over */
	JIT_FUNCTIONS = 1 << 20,     /* more are not kept */
};

/* Reads what a file says in [*at, end), as far as it is whole; *at becomes where to go on.  What
 * can't be understood is passed over.  0, -ENOMEM, -EIO; -EINVAL: it is no such file. */
int jit_read_perf_map(struct memory *file, uint32_t number, uint64_t *at, uint64_t end,
		      struct jit_functions *to);
int jit_read_dump(struct memory *file, uint32_t number, uint64_t *at, uint64_t end,
		  struct jit_functions *to);

/* The name of a function, read anew from a file that is whole up to there: false if something else
 * stands there now. */
bool jit_perf_map_name(struct memory *file, uint64_t whole, const struct jit_function *function,
		       char name[JIT_NAME]);
bool jit_dump_name(struct memory *file, uint64_t whole, const struct jit_function *function,
		   char name[JIT_NAME]);

/* False: no memory.  What is no range of addresses of a process is passed over. */
bool jit_functions_add(struct jit_functions *functions, taddr_t begin, uint64_t size,
		       uint64_t at, uint32_t file);
/* What is new takes its place: O(n), and the sorting of what is new.  False: no memory. */
bool jit_functions_merge(struct jit_functions *functions);
/* Or NULL.  O(log n); valid until the next merge. */
struct jit_function *jit_functions_find(const struct jit_functions *functions, taddr_t pc);
void jit_functions_deinit(struct jit_functions *functions);

#endif
