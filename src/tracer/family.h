/* The children of a process, and theirs: what became of them, for who asks where the memory is. */
#ifndef MEMTRACE_FAMILY_H
#define MEMTRACE_FAMILY_H

#include <sys/types.h>

#include "base/types.h"
#include "base/vec.h"

struct relative {
	pid_t pid;
	uint64_t start;	  /* status_start() */
	char name[16];	  /* as it was last seen */
	char command[64]; /* its arguments, as many as fit */
	bool program;	  /* it runs another file than the process does: by an exec */
	bool alive;	  /* it was, when it was last looked for */
	uint64_t private_kb; /* the most that was seen of its memory that no file has */
};

enum { FAMILY_MOST = 64 };

VEC_TYPE(family, struct relative); /* by when they were first seen */

/* Looks at the process' descendants now (Linux 3.5 with CONFIG_PROC_CHILDREN; without, at `child`
 * alone; 0: none), as far as there are not more than FAMILY_MOST. */
void family_look(struct family *family, pid_t pid, pid_t child);

#endif
