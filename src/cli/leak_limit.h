/* Looks for leaks that are given up: by a Ctrl-C, or where a process that was not copied has stood for
 * as long as --max-pause allows. */
#ifndef MEMTRACE_LEAK_LIMIT_H
#define MEMTRACE_LEAK_LIMIT_H

#include "cli/leak_scan.h"

/* False: one of these. */
bool leak_limit_goes_on(const struct leak_scan *scan);
/* rc, or, where it was -ECANCELED for the second of them, -EBUSY, in words. */
int leak_limit_tell(const struct leak_scan *scan, int rc, struct err *err);

#endif
