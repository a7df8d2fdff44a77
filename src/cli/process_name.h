/* Which processes --pid means: a number, or a name, of all that are called so. */
#ifndef MEMTRACE_PROCESS_NAME_H
#define MEMTRACE_PROCESS_NAME_H

#include "base/err.h"
#include "tracer/status.h"

/* Adds them, each once, to *ret.  -EINVAL, -ERANGE: it is no number of a process; -ESRCH: none is
 * called so. */
int process_name_find(const char *word, struct tid_list *ret, struct err *err) MUST_CHECK;

#endif
