/* Which processes --pid means: a number, or a name, of all that are called so. */
#ifndef MEMTRACE_PROCESS_NAME_H
#define MEMTRACE_PROCESS_NAME_H

#include "base/err.h"
#include "base/option_table.h"
#include "base/types.h"
#include "tracer/status.h"

bool process_name_is_number(const char *word);

/* Is it called as one of them that are names? */
bool process_name_is(pid_t pid, const struct option_list *words);

/* Is it us, or a descendant?  (Or gone.) */
bool process_name_is_ours(pid_t pid);

/* Has it memory of its own, and is not one of ours?  A child by vfork() that has not gone its way yet is followed
 * with its parent. */
bool process_name_is_another(pid_t pid, const struct status *status);

/* Adds them, each once, to *ret.  -EINVAL, -ERANGE: it is no number of a process; -ESRCH: none is
 * called so. */
int process_name_find(const char *word, struct tid_list *ret, struct err *err) MUST_CHECK;

#endif
