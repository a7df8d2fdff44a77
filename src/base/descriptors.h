/* The descriptors of a process that was forked to do one thing. */
#ifndef MEMTRACE_DESCRIPTORS_H
#define MEMTRACE_DESCRIPTORS_H

#include <stddef.h>

/* Closes all but one or two (-1: none): nothing of the user's may be held open, neither a terminal
 * nor a pipe.  (Before Linux 5.9 only what has a usual number.) */
void descriptors_close_but(int one, int two);

/* The same with as many as there are. */
void descriptors_close_all_but(const int *keep, size_t count);

#endif
