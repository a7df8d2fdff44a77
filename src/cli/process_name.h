/* Which process --pid means: a number, or the name of the only one that is called so. */
#ifndef MEMTRACE_PROCESS_NAME_H
#define MEMTRACE_PROCESS_NAME_H

#include <sys/types.h>

#include "base/err.h"

/* *ret: its number.  -EINVAL, -ERANGE: it is no number of a process; -ESRCH: none is called so;
 * -EEXIST: several are, and which. */
int process_name_find(const char *word, pid_t *ret, struct err *err) MUST_CHECK;

#endif
