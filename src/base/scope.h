/* Scope guards: a variable that cleans up after itself on every way out. */
#ifndef MEMTRACE_SCOPE_H
#define MEMTRACE_SCOPE_H

#include <stdlib.h>
#include <unistd.h>

static inline void scope_free_(void *pointer)
{
	free(*(void **)pointer);
}

static inline void scope_close_(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define scope_free  __attribute__((cleanup(scope_free_)))  /* char *p: free() */
#define scope_close __attribute__((cleanup(scope_close_), unused)) /* int fd: close() if >= 0  \
								    */

#endif
